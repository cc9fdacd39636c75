// Which operations Xen's calls, shared pages and store serve for a PVH guest; all others are hardware's.

import { hardwareEntryPoint } from '../hw/operations.ts';
import type { EntryPoint, Manifest } from '../manifest.ts';
import { callEntryPoint, familyOperations, otherCalls } from '../xen/operations.ts';
import { PVH_CALLS } from './calls.ts';

const calls = (...names: readonly string[]): EntryPoint[] =>
  names.map((name) => callEntryPoint(PVH_CALLS, name));
const shared = (name: string): EntryPoint[] => [{ name, by: 'shared', seen: 'unseen' }];
const xenstore = (name: string): EntryPoint[] => [
  { name: `xenstore ${name}`, by: 'event', seen: 'unseen' },
];

const TIME = shared('vcpu_info.time');
const TIMER = calls('vcpu_op.VCPUOP_set_singleshot_timer');

/** What Linux 6.1 replaces as a guest in a hardware container: arch/x86/xen/enlighten_hvm.c, time.c, smp_hvm.c, mmu_hvm.c. */
const OPERATIONS: Manifest['operations'] = {
  ...familyOperations(PVH_CALLS),
  'init.memory_setup': calls('memory_op.XENMEM_memory_map'),
  'init.init_IRQ': calls('hvm_op.HVMOP_set_param', 'event_channel_op.EVTCHNOP_bind_virq'),
  'time.sched_clock': TIME,
  'time.steal_clock': calls('vcpu_op.VCPUOP_register_runstate_memory_area'),
  'time.get_wallclock': shared('shared_info.wc_sec'),
  'apic.setup_boot_clock': TIMER,
  'apic.setup_secondary_clock': TIMER,
  'hook.calibrate_tsc': TIME,
  'mmu.exit_mmap': calls('hvm_op.HVMOP_pagetable_dying'),
  'lock.wait': calls('sched_op.SCHEDOP_poll'),
  'smp.smp_prepare_boot_cpu': calls('vcpu_op.VCPUOP_register_vcpu_info'),
  'request.power_off': xenstore('control/shutdown'),
  'request.reboot': xenstore('control/shutdown'),
  'request.suspend': xenstore('control/shutdown'),
  'request.sysrq': xenstore('control/sysrq'),
};

const USED: ReadonlySet<string> = new Set(
  Object.values(OPERATIONS).flatMap((entries) => entries.map(({ name }) => name)),
);

export const XEN_PVH_MANIFEST: Manifest = {
  operations: OPERATIONS,
  others: otherCalls(PVH_CALLS, USED, ['hvm']),
  rest: hardwareEntryPoint,
};
