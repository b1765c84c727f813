// How panels share the rows of the page: in the order of the list, a stream's rate and its newest events side by side, and no
// hole before the last row, since the last panel of a row takes the rest of it. Pure.

const COLUMNS = 12;
const WIDE = { third: 4, half: 6, two_thirds: 8, full: 12 };

/** For each panel how many of twelve columns it takes on a wide page and on a narrower one, and whether it is two rows high on
 *  the wide one. */
export function shares(specs) {
  const wide = fill(specs, (spec) => WIDE[spec.width], betweenWideCharts);
  // There a third is too little, and a list of events needs the whole row.
  const narrow = fill(specs, (spec) => (spec.width === "third" && spec.kind !== "events" ? 6 : COLUMNS), () => false);
  return specs.map((_, at) => ({ wide: wide[at].columns, narrow: narrow[at].columns, tall: wide[at].tall }));
}

function fill(specs, own, mayBeTall) {
  const filled = [];
  let used = 0; // Columns of the row that is being filled,
  let below = 0; // and of the next one, by a panel that is two rows high.
  specs.forEach((spec, at) => {
    const columns = own(spec);
    const pair = columns + (isRateOf(spec, specs[at + 1]) ? own(specs[at + 1]) : 0);
    if (used + (pair <= COLUMNS ? pair : columns) > COLUMNS) {
      filled[at - 1].columns += COLUMNS - used;
      used = below;
      below = 0;
    }
    used += columns;
    const tall = used === COLUMNS && mayBeTall(spec, specs[at - 1], specs[at + 1]);
    if (tall) below = columns;
    filled.push({ columns, tall });
  });
  return filled;
}

// Beside a list of events that ends its row there is room for one chart more under the first.
function betweenWideCharts(spec, before, after) {
  const isWide = (other) => other?.width === "two_thirds" && other.kind === "chart";
  return spec.kind === "events" && spec.width === "third" && isWide(before) && isWide(after);
}

function isRateOf(spec, next) {
  return spec.kind === "rate" && next?.kind === "events" && next.stream === spec.stream;
}
