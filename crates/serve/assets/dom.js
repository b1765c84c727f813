// The few ways in which this page touches the document. Titles, users and errors come from strangers: text goes in as
// text, never as markup, and only addresses that were checked become links.

export const id = (name) => document.getElementById(name);

/** Sets an element's text, touching the document only when it changes. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A new element with a class and text. */
export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text != null) element.textContent = text;
  return element;
}

/** The address of a wiki's page, or null when the domain is not a plain host name. */
export function pageAddress(domain, title) {
  if (!/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(domain ?? "") || !title) return null;
  return `https://${domain}/wiki/${encodeURIComponent(title.replaceAll(" ", "_"))}`;
}

/** A link to a wiki's page where that is safe, else plain text. */
export function pageLink(domain, title, className) {
  const address = pageAddress(domain, title);
  const element = make(address ? "a" : "span", className, title ?? "");
  if (address) {
    element.href = address;
    element.target = "_blank";
    element.rel = "noopener noreferrer";
  }
  element.title = title ?? "";
  return element;
}
