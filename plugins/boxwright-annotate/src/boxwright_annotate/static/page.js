// Small helpers for elements. Names from the dataset are only ever set as text.

export const $ = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function shape(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

let timer;

export function say(text, problem = false) {
  const message = $("message");
  message.textContent = text;
  message.classList.toggle("problem", problem);
  message.hidden = !text;
  clearTimeout(timer);
  timer = setTimeout(() => { message.hidden = true; }, problem ? 12000 : 4000);
}

export const complain = (error) => say(error.remedy ? `${error.message}\n→ ${error.remedy}` : String(error.message ?? error), true);

// Asks with buttons; returns the value of the one that was pressed, null for Escape.
export function ask(title, text, buttons, ...more) {
  const dialog = $("dialog");
  dialog.onclose?.(); // another question is not answered
  return new Promise((resolve) => {
    const end = (value) => { dialog.onclose = null; dialog.close(); resolve(value); };
    dialog.onclose = () => resolve(null);
    dialog.replaceChildren(
      make("h2", { textContent: title }),
      make("p", { textContent: text }),
      ...more,
      make("div", { className: "buttons" }, ...Object.entries(buttons).map(([value, label], index) =>
        make("button", { textContent: label, className: index ? "" : "primary", value, onclick: () => end(value) }))),
    );
    if (!dialog.open) dialog.showModal();
  });
}

export const plural = (count, noun, many = `${noun}s`) => `${count.toLocaleString("en")} ${count === 1 ? noun : many}`;
