"use strict";
(() => {
  // --- theme: the system's choice unless the reader makes another -------------------------------------------------
  const root = document.documentElement;
  const themes = ["system", "light", "dark"];
  const toggle = document.getElementById("theme");
  const remembered = () => {
    try { return localStorage.getItem("nas-harness-theme"); } catch { return null; }
  };
  const setTheme = (name) => {
    if (name === "system") delete root.dataset.theme;
    else root.dataset.theme = name;
    toggle.textContent = `Theme: ${name}`;
    try { localStorage.setItem("nas-harness-theme", name); } catch { /* a page without storage forgets */ }
  };
  let theme = themes.includes(remembered()) ? remembered() : "system";
  setTheme(theme);
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    setTheme(theme);
  });

  const contents = document.querySelector("nav details");
  if (matchMedia("(max-width: 60rem)").matches) contents.open = false;

  // --- tables: a button in each heading sorts by it, numbers before texts, what is absent last ----------------------
  const rank = (cell) => {
    const text = cell.textContent.trim();
    if (cell.dataset.key !== undefined) return [0, Number(cell.dataset.key), text];
    return [text === "" || text === "-" ? 2 : 1, 0, text];
  };
  const compare = (one, other, sign) => {
    const [a, b] = [one.rank, other.rank];
    if (a[0] !== b[0]) return a[0] - b[0];
    return sign * (a[0] === 0 && a[1] !== b[1] ? a[1] - b[1] : a[2].localeCompare(b[2], "en", { numeric: true }));
  };
  const sortable = (table) => {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      heading.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const order = { none: "ascending", ascending: "descending", descending: "none" }[heading.getAttribute("aria-sort")];
        headings.forEach((each) => each.setAttribute("aria-sort", each === heading ? order : "none"));
        const ranked = original.map((row) => ({ row, rank: rank(row.cells[column]) }));
        if (order !== "none") ranked.sort((a, b) => compare(a, b, order === "ascending" ? 1 : -1));
        body.append(...ranked.map((each) => each.row));
      });
    });
  };
  document.querySelectorAll("table[data-sortable]").forEach(sortable);

  // --- figures: a crosshair with the values of every series ----------------------------------------------------------
  const MOST = 14;  // lines of a reading
  const MANY = 4;   // values of one series that are spelt out
  const STYLES = { box: "middle [box]", points: "points", bars: "bar", line: "line", steps: "line" };
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const shown = (value) => {
    if (value === null) return "none";
    const size = Math.abs(value);
    const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : size >= 0.01 || size === 0 ? 3 : 4;
    return value.toLocaleString("en-US", { maximumFractionDigits: digits });
  };
  const share = (value, [low, high], log) => log
    ? (value > 0 ? (Math.log(value) - Math.log(low)) / (Math.log(high) - Math.log(low)) : -1)
    : (value - low) / (high - low);
  const last = (places, limit) => {
    let [low, high] = [0, places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (places[middle] <= limit) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  };

  // What a series says at a place: a list of indices, empty where it says nothing.
  const found = (series, place, lying) => {
    if (lying) return series.x.flatMap((x, index) => (Math.abs(x - place) < 0.5 ? [index] : []));
    if (series.style === "points" || series.style === "box") {
      return series.x.flatMap((x, index) => (x === place ? [index] : []));
    }
    if (series.ends) return series.x.flatMap((x, index) => (x <= place && place < series.ends[index] ? [index] : []));
    const index = last(series.x, place);
    return index < 0 ? [] : [index];
  };
  const worded = (series, indices) => {
    if (series.ends) return indices.map((index) => `${shown(series.low[index])} to ${shown(series.high[index])}`).join(", ");
    const values = indices.map((index) => series.middle[index]);
    if (indices.length > MANY) return `${indices.length} values, ${shown(Math.min(...values))} to ${shown(Math.max(...values))}`;
    return indices.map((index) => {
      const middle = shown(series.middle[index]);
      return series.low ? `${middle} [${shown(series.low[index])}, ${shown(series.high[index])}]` : middle;
    }).join(", ");
  };

  const interactive = (plot) => {
    const data = JSON.parse(document.getElementById(plot.dataset.figure).textContent);
    const lying = Object.keys(data.names).length > 0;
    const places = lying
      ? Object.values(data.names).sort((a, b) => a - b)
      : [...new Set(data.series.flatMap((series) => series.x))].filter((x) => x !== null).sort((a, b) => a - b);
    if (places.length === 0) return;
    const named = new Map(Object.entries(data.names).map(([name, place]) => [place, name]));
    const cross = make("div", "cross");
    const line = make("i");
    const reading = make("div", "reading");
    const hint = make("p", "hint", "Point at the figure, or focus it and use the arrow keys, to read every series.");
    reading.hidden = true;
    cross.append(line);
    cross.tabIndex = 0;
    cross.setAttribute("role", "slider");
    cross.setAttribute("aria-label", `Values of ${data.title} at one place`);
    cross.setAttribute("aria-orientation", lying ? "vertical" : "horizontal");
    cross.setAttribute("aria-valuemin", "0");
    cross.setAttribute("aria-valuemax", String(places.length - 1));
    plot.append(cross, reading);
    plot.after(hint);
    let current = lying ? 0 : places.length - 1;

    const geometry = () => {
      const narrow = getComputedStyle(plot.querySelector(".narrow")).display !== "none";
      return [data.drawings[narrow ? "narrow" : "wide"], plot.querySelector(narrow ? ".narrow" : ".wide")];
    };
    const put = () => {
      const [{ box }, picture] = geometry();
      cross.style.left = `${box[0] * 100}%`;
      cross.style.width = `${box[2] * 100}%`;
      cross.style.top = `${box[1] * picture.offsetHeight}px`;
      cross.style.height = `${box[3] * picture.offsetHeight}px`;
    };
    const colour = (element, series) => element.style.setProperty("--dot", series.colour < 0 ? "var(--muted)" : `var(--s${series.colour})`);

    const describe = (place) => {
      const rows = data.series.map((series) => [series, found(series, place, lying)]).filter(([, indices]) => indices.length);
      const head = lying ? named.get(place) : `${data.across}: ${shown(place)}`;
      const said = rows.slice(0, MOST).map(([series, indices]) => [series, worded(series, indices)]);
      if (rows.length > MOST) said.push([{ label: `and ${rows.length - MOST} more, in the CSV`, colour: -1 }, ""]);
      return [head, rows, said];
    };
    const dots = (rows, { x, y }) => {
      cross.querySelectorAll("b").forEach((dot) => dot.remove());
      if (lying) return;
      rows.forEach(([series, indices]) => {
        if (series.style === "bars" || series.ends || indices.length > 1) return;
        const height = share(series.middle[indices[0]], y, data.log[1]);
        if (height < 0 || height > 1) return;
        const dot = make("b");
        dot.style.left = `${share(places[current], x, data.log[0]) * 100}%`;
        dot.style.top = `${(1 - height) * 100}%`;
        colour(dot, series);
        cross.append(dot);
      });
    };
    const show = (index) => {
      current = Math.max(0, Math.min(places.length - 1, index));
      const [drawing] = geometry();
      const place = places[current];
      const [head, rows, said] = describe(place);
      const along = lying ? 1 - share(place, drawing.y, false) : share(place, drawing.x, data.log[0]);
      Object.assign(line.style, lying
        ? { left: 0, right: 0, height: "1px", width: "auto", top: `${along * 100}%`, bottom: "auto" }
        : { top: 0, bottom: 0, width: "1px", height: "auto", left: `${along * 100}%` });
      cross.classList.add("on");
      dots(rows, drawing);
      const list = make("ul");
      said.forEach(([series, text]) => {
        const item = make("li");
        item.append(make("span", "", series.label === head ? STYLES[series.style] : series.label), make("span", "", text));
        colour(item, series);
        list.append(item);
      });
      reading.replaceChildren(make("p", "", head), list);
      reading.hidden = false;
      const [left, , width] = drawing.box;
      const right = !lying && along > 0.5;
      reading.style.left = right ? "auto" : lying ? "auto" : `${(left + along * width) * 100 + 2}%`;
      reading.style.right = right ? `${100 - (left + along * width) * 100 + 2}%` : lying ? "0" : "auto";
      cross.setAttribute("aria-valuenow", String(current));
      cross.setAttribute("aria-valuetext", `${head}; ${said.map(([series, text]) => `${series.label} ${text}`).join("; ")}`);
    };
    const hide = () => {
      if (document.activeElement === cross) return;
      cross.classList.remove("on");
      cross.querySelectorAll("b").forEach((dot) => dot.remove());
      reading.hidden = true;
    };
    const nearest = (event) => {
      const [{ x, y }] = geometry();
      const area = cross.getBoundingClientRect();
      const at = lying ? 1 - (event.clientY - area.top) / area.height : (event.clientX - area.left) / area.width;
      const away = (place) => Math.abs((lying ? share(place, y, false) : share(place, x, data.log[0])) - at);
      return places.reduce((best, place, index) => (away(place) < away(places[best]) ? index : best), 0);
    };
    const keys = {
      ArrowRight: (index) => index + 1, ArrowUp: (index) => index + (lying ? -1 : 1),
      ArrowLeft: (index) => index - 1, ArrowDown: (index) => index + (lying ? 1 : -1),
      PageUp: (index) => index + 10, PageDown: (index) => index - 10,
      Home: () => 0, End: () => places.length - 1,
    };
    cross.setAttribute("aria-valuenow", String(current));
    cross.setAttribute("aria-valuetext", describe(places[current])[0]);
    cross.addEventListener("pointermove", (event) => show(nearest(event)));
    cross.addEventListener("pointerdown", (event) => show(nearest(event)));
    cross.addEventListener("pointerleave", hide);
    cross.addEventListener("focus", () => show(current));
    cross.addEventListener("blur", hide);
    cross.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { cross.blur(); return; }
      if (!(event.key in keys)) return;
      event.preventDefault();
      show(keys[event.key](current));
    });
    put();
    new ResizeObserver(put).observe(plot);
  };
  document.querySelectorAll(".plot").forEach(interactive);
})();
