// Requests to the server; a refused request throws an Error with the server's message.

export async function get(path, query = {}) {
  const words = new URLSearchParams(query).toString();
  return read(await send(words ? `${path}?${words}` : path, {}));
}

export async function post(path, body) {
  const options = {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-AsyncTasQ": "1" },
    body: JSON.stringify(body),
  };
  return read(await send(path, options));
}

export function act(name, body) {
  return post(`actions/${name}`, body);
}

async function send(path, options) {
  try {
    return await fetch(new URL(path, document.baseURI), options);
  } catch {
    throw new Error("The dashboard's server does not respond.");
  }
}

async function read(response) {
  if (response.ok) return response.json();
  let reason = `The server responded with status ${response.status}.`;
  try {
    reason = (await response.json()).error ?? reason;
  } catch {
    // not JSON: an error page of a proxy
  }
  const error = new Error(reason);
  error.status = response.status;
  throw error;
}
