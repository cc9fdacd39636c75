// The door of the lab: what command lines and pages may use of everything beneath.

export type { EngineName } from '../cpu/core.ts';
export {
  BOOT_WAYS,
  type BootWay,
  findInterface,
  type GuestModule,
  INTERFACES,
  type InterfaceChoice,
  nearest,
  type Omission,
  type Omitting,
  omittableParts,
  withoutParts,
} from '../hypervisors/index.ts';
export {
  buildInitramfs,
  collectModules,
  INIT_UP,
  type KernelImage,
  type ModuleSet,
  NO_MODULES,
  openDeb,
  openKernel,
  parseConfig,
  readCpio,
  readHeader,
  readSymbols,
  writeCpio,
} from '../image/index.ts';
export {
  type ByteStore,
  type Disk,
  type DiskBus,
  type DiskMode,
  EXTRA_DEVICES,
  type ExtraDevice,
  type Fittings,
  MACHINE_MODELS,
  type MachineModelId,
  NET_WIRES,
  type NetWire,
  NO_FITTINGS,
  openDisk,
  type RomImage,
} from '../machine/index.ts';
export {
  GROUPS,
  LINUX_VERSIONS,
  type LinuxVersion,
  linuxName,
  OPERATIONS,
  type Operation,
  referencesOf,
  signatureOf,
  slotName,
} from '../ops/index.ts';
export {
  abilities,
  abilityText,
  type Change,
  type Coverage,
  type CoverageRow,
  changesBetween,
  commonGround,
  coverageOf,
  servedCounts,
} from './coverage.ts';
export { driversOf } from './drivers.ts';
export type { LabConsole, LabHost, Progress } from './host.ts';
export {
  type Cell,
  type CellJob,
  cellName,
  columnName,
  EXIT_KINDS,
  type Matrix,
  matrixSchema,
} from './matrix/cell.ts';
export { CellLog, cellOfRun, emptyCell } from './matrix/cell-log.ts';
export { htmlOf } from './matrix/html.ts';
export { jsonOf, matrixOf, readMatrix } from './matrix/json.ts';
export { junitOf } from './matrix/junit.ts';
export { ktapOf } from './matrix/ktap.ts';
export {
  isBad,
  type Judged,
  type Judgement,
  judge,
  matrixStatus,
  type Outcome,
  summaryOf,
} from './matrix/outcome.ts';
export {
  chosenOperations,
  type OperationFacts,
  operationFacts,
  operationNamed,
} from './operations.ts';
export { type Comparison, compareLogs, type Parting } from './probe/compare.ts';
export { type ProbeCoverage, probeColumns, probeCoverage } from './probe/coverage.ts';
export { type HostTimes, hostTimes } from './probe/host-time.ts';
export {
  isProbe,
  PROBE_BITS,
  PROBE_END,
  type ProbeBits,
  probeBzImage,
  probeElf,
  probeElfByPvh,
  probeKernel,
  probeNamed,
} from './probe/probe-kernel.ts';
export { hostTimeTable, ktapOfProbes, measureTable, probeTable } from './probe/reports.ts';
export { type ProbeReport, type ProbeRun, probeSpec, runProbe } from './probe/run-probe.ts';
export { QUIT, REQUEST_WORDS, requestOf } from './requests.ts';
export { type RunResult, type RunWatcher, runKernel } from './run.ts';
export {
  type ConsoleInput,
  checkNumbers,
  checkStart,
  DEFAULT_COMMAND_LINE,
  DEFAULT_EPOCH_SECONDS,
  DEFAULT_MEMORY_BYTES,
  DEFAULT_TIMEOUT_SECONDS,
  machineOf,
  type RunSpec,
} from './spec.ts';
export { isBinaryTrace } from './trace/binary-format.ts';
export { readBinaryTrace } from './trace/binary-read.ts';
export {
  type CountDifference,
  compareTraces,
  type Divergence,
  type TraceDifference,
} from './trace/diff.ts';
export { TRACE_FORMATS, type TraceFormat } from './trace/format.ts';
export { kernelNames, namesIfAny } from './trace/names.ts';
export { type Trace, TraceReader } from './trace/read.ts';
export { startTrace, type TraceSession } from './trace/session.ts';
export {
  type BatchCount,
  type TraceCount,
  type TraceEvent,
  type TraceNames,
  Tracer,
} from './trace/tracer.ts';
export { exitStatus, type VerdictWord } from './verdict.ts';
