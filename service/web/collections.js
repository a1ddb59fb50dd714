// Which collection is asked and added to.

import { json } from "./calls.js";
import { make } from "./elements.js";

export const picker = document.getElementById("collection");

export async function loadCollections() {
  const { items } = await json("/v1/collections?limit=1000");
  const chosen = picker.value || new URLSearchParams(location.search).get("collection") || "default";
  picker.replaceChildren(...items.map((one) => make("option", { value: one.collection, selected: one.collection === chosen },
    one.title ? `${one.title} (${one.collection})` : one.collection)));
  document.getElementById("pick").hidden = items.length < 2;
  showSize(items.find((one) => one.collection === picker.value));
}

function showSize(collection) {
  const count = collection?.documents ?? 0;
  document.getElementById("size").textContent = count === 1 ? "1 document" : `${count} documents`;
}
