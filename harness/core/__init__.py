"""The ground floor: types, interfaces and the few mechanisms that everything else stands on."""
