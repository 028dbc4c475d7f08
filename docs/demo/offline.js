// @ts-check
/** The service worker: the page without a network, and threads on any server. */

/** The longest that the page waits for it, in milliseconds, before it works without. */
const PATIENCE = 10_000;

const TRIED = "mfsynth-demo-reloaded";

/**
 * Whether the page is kept for use without a network. The page is loaded once more if that gives it threads and
 * nothing has been begun; then this does not return.
 * @param {() => boolean} isIdle
 */
export async function keep(isIdle) {
  if (!navigator.serviceWorker) return false;
  const claimed = new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
  const waited = new Promise((resolve) => setTimeout(resolve, PATIENCE));
  let isNew;
  try {
    const registration = await navigator.serviceWorker.register("service-worker.js", { updateViaCache: "none" });
    isNew = !registration.active;
  } catch {
    return false; // the page is only not kept: it works all the same
  }
  if (!(await Promise.race([navigator.serviceWorker.ready, waited]))) return false;
  if (isNew) await Promise.race([claimed, waited]); // it keeps only what is loaded from then on
  const kept = Boolean(navigator.serviceWorker.controller);
  if (self !== top) return kept; // a frame gets threads only where the page around it is isolated, too
  if (crossOriginIsolated) sessionStorage.removeItem(TRIED);
  else if (isIdle() && !sessionStorage.getItem(TRIED)) {
    sessionStorage.setItem(TRIED, "1");
    location.reload();
    await new Promise(() => {});
  }
  return kept;
}
