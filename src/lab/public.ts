// What the package offers to those who write an interface of their own (docs/new-interface.md): `import ... from 'pvops'`.

export { InputError } from '../base/errors.ts';
export { type ExitPolicy, NO_EXITS } from '../cpu/policy.ts';
export { startOfDay } from '../hypervisors/boot/start.ts';
export { defineInterface } from '../hypervisors/define.ts';
export {
  type FeatureChanges,
  HARDWARE_MACHINES,
  hardwareBorder,
} from '../hypervisors/hw/border.ts';
export { nativePc } from '../hypervisors/hw/native-guest.ts';
export { hardwareEntryPoint } from '../hypervisors/hw/operations.ts';
export type {
  Attached,
  EntryPoint,
  Guest,
  HypervisorInterface,
  Manifest,
  Platform,
} from '../hypervisors/index.ts';
export {
  defineGuest,
  GUEST_CALLS,
  type GuestBinding,
  type GuestCode,
  type GuestOperation,
  KERNEL_LABELS,
  OPERATIONS,
} from '../ops/index.ts';
