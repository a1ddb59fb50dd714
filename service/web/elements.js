// Pieces of a page. Texts of documents reach it as text only: nothing here makes markup of them.

export function make(tag, properties = {}, ...children) {
  const { class: classes, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  if (classes) made.className = classes;
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const failure = (problem) =>
  make("div", { class: "failed", role: "alert" }, make("p", {}, problem.title ?? "Something went wrong."),
    problem.detail ? make("p", {}, problem.detail) : null);

export function closable(sheet) {
  sheet.querySelector(".close").addEventListener("click", () => sheet.close());
  sheet.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });
}

// Offsets of the service count code points; strings here count UTF-16 units.
export function cut(text, ...offsets) {
  const points = Array.from(text);
  const bounds = [0, ...offsets.map((offset) => Math.min(Math.max(offset, 0), points.length)), points.length];
  return bounds.slice(1).map((bound, index) => points.slice(bounds[index], bound).join(""));
}
