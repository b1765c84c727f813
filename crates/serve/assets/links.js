// Addresses that a panel's rows lead to, made of a template of the pipeline: `https://{server_name}/wiki/{title}`. Values
// come from strangers: in the host only a plain host name may stand, elsewhere everything is escaped.

/** The address, or null where a value is missing or has no place in it. `values` are those of the braces, in order. */
export function address(template, values) {
  if (!template) return null;
  let at = 0;
  let good = true;
  const filled = template.replace(/\{([^}]*)\}/g, (whole, inside, place) => {
    let value = values[at];
    at += 1;
    if (inside.endsWith("|wikimedia")) value = wikimediaHost(value);
    if (value == null || value === "") {
      good = false;
      return "";
    }
    const text = String(value);
    if (template.indexOf("/", "https://".length) >= 0 && place > template.indexOf("/", "https://".length)) {
      return encodeURIComponent(text.replaceAll(" ", "_"));
    }
    if (!/^[a-z0-9-]+(\.[a-z0-9-]+)*$/i.test(text)) good = false;
    return text;
  });
  if (!good || !/^https?:\/\/[a-z0-9-]+(\.[a-z0-9-]+)*(:\d+)?(\/|$)/i.test(filled)) return null;
  return filled;
}

/** The host of a Wikimedia wiki by its database name, for the common families; null where that would be a guess. */
function wikimediaHost(wiki) {
  const special = { commonswiki: "commons.wikimedia.org", wikidatawiki: "www.wikidata.org", metawiki: "meta.wikimedia.org", specieswiki: "species.wikimedia.org", mediawikiwiki: "www.mediawiki.org" };
  if (special[wiki]) return special[wiki];
  const family = /^([a-z]{2,3})(wiki|wiktionary|wikisource|wikiquote|wikinews|wikivoyage|wikibooks|wikiversity)$/.exec(wiki ?? "");
  return family ? `${family[1]}.${family[2] === "wiki" ? "wikipedia" : family[2]}.org` : null;
}
