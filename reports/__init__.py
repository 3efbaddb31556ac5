"""Reports, by name. A new report is one file and one line here."""

REPORTS: dict[str, str] = {
    "summary": "reports.summary:build",
    "checklist": "reports.checklist:build",
    "growth": "reports.growth:build",
}
