/** The few lines of DOM handling that every view needs. Nothing is written that has not changed. */

/** @param {string} id @returns {any} the element, which index.html is known to hold */
export const byId = (id) => document.getElementById(id);

/** @param {Element} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {string} tag @param {Record<string, string>} [attributes] @param {(Node | string)[]} children */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
