// Ranked tables whose rows carry a bar as long as their share of the first.

import { figure } from "./format.js";
import { make } from "./dom.js";

/** Shows `rows`, `{ label: Node, aside, value }` and largest first, in the body of a table, `panel`. */
export function ranks(panel, rows) {
  const most = rows[0]?.value || 1;
  panel.replaceChildren(...rows.map(({ label, aside, value }) => {
    const bar = make("span", "bar");
    bar.style.width = `${Math.min(100, Math.max(1, (100 * value) / most))}%`;
    const text = make("span", "label");
    text.append(label);
    if (aside) text.append(make("small", "", aside));
    const name = make("span", "name");
    name.append(bar, text);
    const cell = make("td");
    cell.append(name);
    const row = make("tr");
    row.append(cell, make("td", "", figure(value)));
    return row;
  }));
}
