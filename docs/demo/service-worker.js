// @ts-check
/**
 * Keeps the page for use without a network, and answers with the headers that give it threads (isolation from
 * other origins) and let it talk to its own server only. The build puts BUILT in front of this file.
 */

/** @type {{ version: string, files: string[], policy: string }} */
const built = /** @type {any} */ (self).BUILT;
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const PREFIX = "mfsynth-demo-", CACHE = PREFIX + built.version;

worker.addEventListener("install", (event) => event.waitUntil(keep()));
worker.addEventListener("activate", (event) => event.waitUntil(takeOver()));
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(worker.registration.scope)) event.respondWith(answer(request));
});

async function keep() {
  const cache = await caches.open(CACHE);
  await cache.addAll(built.files.map((file) => new Request(file, { cache: "reload" })));
  await worker.skipWaiting();
}

async function takeOver() {
  const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await worker.clients.claim();
}

/**
 * From what is kept, else from the server; engines are kept when they are first used.
 * @param {Request} request
 */
async function answer(request) {
  const cache = await caches.open(CACHE);
  const wanted = request.mode === "navigate" ? "./" : request;
  const kept = await cache.match(wanted, { ignoreSearch: true });
  if (kept) return guarded(kept);
  const response = await fetch(request);
  if (response.ok && request.url.includes("/engine/")) await cache.put(request, response.clone());
  return guarded(response);
}

/** @param {Response} response */
function guarded(response) {
  const headers = new Headers(response.headers);
  headers.set("Content-Security-Policy", built.policy);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "cross-origin");
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
