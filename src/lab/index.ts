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
} from '../hypervisors/index.ts';
export {
  buildInitramfs,
  INIT_UP,
  type KernelImage,
  openDeb,
  openKernel,
  parseConfig,
  readHeader,
} from '../image/index.ts';
export {
  type ByteStore,
  type Disk,
  type DiskMode,
  type Fittings,
  MACHINE_MODELS,
  type MachineModelId,
  NO_FITTINGS,
  openDisk,
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
export type { LabConsole, LabHost, Progress } from './host.ts';
export {
  chosenOperations,
  type OperationFacts,
  operationFacts,
  operationNamed,
} from './operations.ts';
export { type RunResult, type RunWatcher, runKernel } from './run.ts';
export {
  type ConsoleInput,
  checkNumbers,
  DEFAULT_COMMAND_LINE,
  DEFAULT_EPOCH_SECONDS,
  DEFAULT_MEMORY_BYTES,
  DEFAULT_TIMEOUT_SECONDS,
  machineOf,
  type RunSpec,
} from './spec.ts';
export { exitStatus, type VerdictWord } from './verdict.ts';
