// The stream of snapshots from the server, and its current problem.

export class Live {
  // `refused` is called when the server rejects the stream.
  constructor(refused) {
    this.refused = refused;
    this.snapshot = null;
    this.problem = null;
    this.at = 0;
    this.listeners = new Set();
  }

  start() {
    const source = new EventSource(new URL("api/events", document.baseURI));
    source.addEventListener("snapshot", (event) => {
      this.snapshot = JSON.parse(event.data);
      this.at = Date.now();
      this.change(null);
    });
    source.addEventListener("problem", (event) => {
      this.change({ where: "broker", reason: JSON.parse(event.data).problem });
    });
    source.addEventListener("error", () => {
      this.change({ where: "server", reason: "The dashboard's server does not respond." });
      // the browser reconnects by itself unless the stream was rejected
      if (source.readyState !== EventSource.CLOSED) return;
      this.refused();
      setTimeout(() => this.start(), 5000);
    });
  }

  change(problem) {
    this.problem = problem;
    for (const listener of this.listeners) listener();
  }

  queue(name) {
    return this.snapshot?.queues.find((queue) => queue.queue === name) ?? null;
  }
}
