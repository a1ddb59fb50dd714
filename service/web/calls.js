// What the page asks of the service.

export const authorization = () => (sessionStorage.loccitKey ? { Authorization: `Bearer ${sessionStorage.loccitKey}` } : {});

export async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, ...authorization() } });
  } catch {
    throw { title: "The service does not answer.", detail: "Is it still running? Then try again." };
  }
  if (response.ok) return response;
  if (response.status === 401) {
    await askForKey();
    return call(path, options);
  }
  throw await response.json().catch(() => ({ title: `The service answered ${response.status}.`, detail: "" }));
}

let keyGiven = null;

// Several calls may find out at once that a key is needed: they wait for the same answer.
function askForKey() {
  keyGiven ??= new Promise((resolve) => {
    const dialog = document.getElementById("key");
    const field = document.getElementById("key-value");
    field.value = "";
    dialog.addEventListener("close", () => {
      sessionStorage.loccitKey = field.value;
      keyGiven = null;
      resolve();
    }, { once: true });
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.showModal();
  });
  return keyGiven;
}

export const json = async (path, body) =>
  (await call(path, body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json();

export const place = (collection) => `/v1/collections/${encodeURIComponent(collection)}`;
