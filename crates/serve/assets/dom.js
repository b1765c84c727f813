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

/** A link to `address`, which was checked, or plain text where there is none. */
export function linked(address, text, className) {
  const element = make(address ? "a" : "span", className, text);
  if (address) {
    element.href = address;
    element.target = "_blank";
    element.rel = "noopener noreferrer";
  }
  element.title = text;
  return element;
}
