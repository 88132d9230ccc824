// Asks the server; what it refuses is an Error with its one line.

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
    throw new Error("The dashboard's server does not answer.");
  }
}

async function read(answer) {
  if (answer.ok) return answer.json();
  let why = `The server answered with ${answer.status}.`;
  try {
    why = (await answer.json()).error ?? why;
  } catch {
    // not ours: a proxy's page
  }
  const error = new Error(why);
  error.status = answer.status;
  throw error;
}
