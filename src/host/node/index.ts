// The door of the Node host: files, kernels, consoles and what drives a run.

export { cacheDirectory } from './cache-directory.ts';
export { type CellEvents, initrdFor, runCells, serveCells } from './cells.ts';
export { type DiskFile, openDiskFile } from './disk-file.ts';
export {
  eachUserJsonLine,
  readUserFile,
  readUserHead,
  readUserJson,
  sha256OfBytes,
} from './files.ts';
export { FLAVOUR_NAMES } from './flavours.ts';
export { nodeHost } from './host.ts';
export { type FoundKernel, findKernel, kernelOfPackage } from './kernels.ts';
export { createOutputFile, type OutputFile } from './output-file.ts';
export {
  cached,
  looksLikeKernelName,
  type PulledKernel,
  type PullProgress,
  parseKernelName,
  pull,
} from './packages.ts';
export { isPoolWorker, type WorkerFailure } from './pool.ts';
export { readPipedInput } from './stdin.ts';
export { type NodeConsole, outputConsole, terminalConsole } from './terminal.ts';
export { loadInterface, looksLikePath } from './user-interface.ts';
