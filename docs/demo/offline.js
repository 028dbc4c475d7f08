// @ts-check
/** The service worker: the page without a network, and threads on any server. */

const TRIED = "mfsynth-demo-reloaded";

/**
 * Whether the page is kept for use without a network. The page is loaded once more if that gives it threads and
 * nothing has been begun; then this does not return.
 * @param {() => boolean} isIdle
 */
export async function keep(isIdle) {
  if (!navigator.serviceWorker) return false;
  try {
    await navigator.serviceWorker.register("service-worker.js", { updateViaCache: "none" });
    await navigator.serviceWorker.ready;
  } catch {
    return false; // the page is only not kept: it works all the same
  }
  if (crossOriginIsolated) sessionStorage.removeItem(TRIED);
  else if (self === top && isIdle() && !sessionStorage.getItem(TRIED)) {
    sessionStorage.setItem(TRIED, "1");
    location.reload();
    await new Promise(() => {});
  }
  return true;
}
