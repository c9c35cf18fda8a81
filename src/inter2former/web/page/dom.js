// @ts-check

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name @param {Record<string, any>} values attributes; those that begin with "on" are listeners
 * @param {...(Node|string)} children @returns {HTMLElementTagNameMap[Name]}
 */
export function element(name, values = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(values)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, '');
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, String(value));
  }
  made.append(...children);
  return made;
}

/** @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found;
}

/** @param {HTMLElement} made @param {string} name @param {string|null} value only written where it differs */
export function setAttribute(made, name, value) {
  if (value === null) {
    if (made.hasAttribute(name)) made.removeAttribute(name);
  } else if (made.getAttribute(name) !== value) made.setAttribute(name, value);
}

/** @param {HTMLElement} made @param {string} text */
export function setText(made, text) {
  if (made.textContent !== text) made.textContent = text;
}

/**
 * An icon of the page's sprite.
 * @param {string} name
 */
export function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const picture = document.createElementNS(space, 'svg');
  picture.setAttribute('class', 'icon');
  picture.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(space, 'use');
  use.setAttribute('href', `#icon-${name}`);
  picture.append(use);
  return picture;
}
