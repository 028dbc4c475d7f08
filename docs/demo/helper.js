// @ts-check
/** The page's end of the worker: ask, and be answered. */

export class Helper {
  #last = 0;
  /** @type {Map<number, { resolve: (answer: any) => void, reject: (error: Error) => void }>} */
  #asked = new Map();
  #worker = start();
  /** @type {Error | undefined} */
  #failure;

  /**
   * @param {(done: number) => void} onProgress Told the fraction that is fused.
   * @param {(note: string) => void} onNote
   */
  constructor(onProgress, onNote) {
    this.#worker.addEventListener("message", ({ data }) => {
      if (data.progress !== undefined) return onProgress(data.progress);
      if (data.note !== undefined) return onNote(data.note);
      const asked = this.#asked.get(data.id);
      this.#asked.delete(data.id);
      if (data.error !== undefined) asked?.reject(new Error(data.error));
      else asked?.resolve(data.answer);
    });
    this.#worker.addEventListener("error", ({ message }) => {
      const error = new Error(message || "the part of this page that computes could not be loaded. Load the page again.");
      if (!message) this.#failure = error; // there is no worker, and it will never answer
      for (const { reject } of this.#asked.values()) reject(error);
      this.#asked.clear();
    });
  }

  /**
   * @param {string} task See `TASKS` in worker.js.
   * @param {object} [given]
   * @returns {Promise<any>}
   */
  ask(task, given) {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#worker.postMessage({ task, id, given });
    });
  }

  cancel() {
    this.#worker.postMessage({ task: "cancel" });
  }
}

/** A worker that may talk to this server only: by the header of the service worker, else as this page's own code. */
function start() {
  const { href } = new URL("worker.js", import.meta.url);
  const own = () => URL.createObjectURL(new Blob([`import ${JSON.stringify(href)};`], { type: "text/javascript" }));
  return new Worker(navigator.serviceWorker?.controller ? href : own(), { type: "module" });
}
