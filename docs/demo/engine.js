// @ts-check
/** onnxruntime-web: which of its builds computes here, and a network opened by it. */

/** @typedef {"webgpu" | "wasm"} Processor */
/** @typedef {import("onnxruntime-web")} Ort */

/**
 * A network that runs.
 * @typedef {object} Session
 * @property {string} by What computes, for people.
 * @property {(planes: Float32Array, dims: number[]) => Promise<Float32Array>} scores
 * @property {() => Promise<void>} close
 */

/** The most threads; more hardly help a network this small. */
const THREADS = 8;

/**
 * The builds, by what they need: the library, and the WebAssembly that it loads.
 * @type {Record<"jspi" | "asyncify" | "plain", { library: string, core: string }>}
 */
const BUILDS = {
  jspi: { library: "ort.jspi.min.js", core: "ort-wasm-simd-threaded.jspi" },
  asyncify: { library: "ort.webgpu.min.js", core: "ort-wasm-simd-threaded.asyncify" },
  plain: { library: "ort.wasm.min.js", core: "ort-wasm-simd-threaded" },
};

/** @type {Map<string, Promise<Ort>>} */
const loaded = new Map();

/**
 * Open a network on the graphics processor where there is one, else on the CPU.
 * @param {Uint8Array} model
 * @param {Processor | "auto"} wanted
 * @param {(note: string) => void} say Told why the graphics processor is not used, if it should be.
 * @returns {Promise<Session>}
 */
export async function open(model, wanted, say) {
  if (wanted === "wasm" || !(await hasGpu(wanted === "webgpu"))) {
    if (wanted === "webgpu") say("This browser gives no access to a graphics processor (WebGPU), so the CPU computes.");
    return openOn("wasm", model);
  }
  try {
    return await openOn("webgpu", model);
  } catch (error) {
    say(`The graphics processor cannot run the network (${error instanceof Error ? error.message : error}), so the CPU computes.`);
    return openOn("wasm", model);
  }
}

/**
 * @param {Processor} processor
 * @param {Uint8Array} model
 * @returns {Promise<Session>}
 */
async function openOn(processor, model) {
  const ort = await library(processor === "wasm" ? "plain" : "Suspending" in WebAssembly ? "jspi" : "asyncify");
  const session = await ort.InferenceSession.create(model, { executionProviders: [processor], logSeverityLevel: 3 });
  const run = async (/** @type {Float32Array} */ planes, /** @type {number[]} */ dims) => {
    const { scores } = await session.run({ frames: new ort.Tensor("float32", planes, dims) });
    return /** @type {Float32Array} */ (await scores.getData());
  };
  await run(new Float32Array(2 * 3 * 64 * 64), [2, 3, 64, 64]); // what cannot run fails here
  const threads = ort.env.wasm.numThreads ?? 1;
  const by = processor === "webgpu" ? "graphics processor (WebGPU)" : `CPU (WebAssembly, ${threads === 1 ? "1 thread" : `${threads} threads`})`;
  return { by, scores: run, close: () => session.release() };
}

/**
 * A build of onnxruntime, loaded once.
 * @param {keyof typeof BUILDS} build
 * @returns {Promise<Ort>}
 */
function library(build) {
  const known = loaded.get(build) ?? load(BUILDS[build]);
  loaded.set(build, known);
  known.catch(() => loaded.delete(build)); // so that it can be tried again
  return known;
}

/**
 * @param {{ library: string, core: string }} build
 * @returns {Promise<Ort>}
 */
async function load(build) {
  const [ort, wasmBinary] = await Promise.all([import(`./engine/${build.library}`), unpacked(`./engine/${build.core}.wasm.gzip`)]);
  ort.env.wasm.wasmBinary = wasmBinary;
  ort.env.wasm.wasmPaths = { mjs: new URL(`./engine/${build.core}.js`, import.meta.url).href };
  ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, THREADS) : 1;
  return ort;
}

/**
 * A file that the server keeps compressed: a quarter of the size, whatever the server.
 * @param {string} path
 */
async function unpacked(path) {
  const response = await fetch(new URL(path, import.meta.url));
  if (!response.ok || !response.body) throw new Error(`${path} is missing on the server (${response.status})`);
  return new Response(response.body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/**
 * Whether there is a graphics processor, or at least something that computes as one, more slowly than the CPU.
 * @param {boolean} orFallback
 */
async function hasGpu(orFallback) {
  /** @typedef {{ info?: { isFallbackAdapter?: boolean } }} Adapter */
  const { gpu } = /** @type {{ gpu?: { requestAdapter(): Promise<Adapter | null> } }} */ (navigator);
  const adapter = await gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && (orFallback || !adapter?.info?.isFallbackAdapter);
}
