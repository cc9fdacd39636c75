// Hooks outside the structure that back ends of 2.6.32 and 6.1 may set, and that no other group lists.

import { defineOp } from '../define.ts';

const both = (path: string) => ({ '2.6.32': path, '6.1': path });
const FIRMWARE = 'reads the tables of the firmware';
const MP = { by: 'memory', what: FIRMWARE, ref: 'MP 1.4 4' } as const;

export const probeRoms = defineOp({
  id: 'hook.probe_roms',
  class: 'set-up',
  does: 'Looks for option ROMs.',
  native: { by: 'memory', what: 'reads 0xc0000 to 0xf0000', ref: 'PCI 3.0 6.3' },
  hooks: both('x86_init.resources.probe_roms'),
});

export const reserveResources = defineOp({
  id: 'hook.reserve_resources',
  class: 'set-up',
  does: 'Claims the ports that every PC has.',
  native: { by: 'code', what: 'the list of standard ports' },
  hooks: both('x86_init.resources.reserve_resources'),
});

export const mpcRecord = defineOp({
  id: 'hook.mpc_record',
  class: 'set-up',
  does: 'Looks at a record of the MP table.',
  params: { kind: 'code' },
  native: { by: 'nothing', what: 'no-op' },
  hooks: { '2.6.32': 'x86_init.mpparse.mpc_record' },
});

export const setupIoapicIds = defineOp({
  id: 'hook.setup_ioapic_ids',
  class: 'set-up',
  does: 'Gives the I/O APICs their ids.',
  native: { by: 'device', what: 'writes the id registers', ref: '82093AA datasheet' },
  hooks: both('x86_init.mpparse.setup_ioapic_ids'),
});

export const mpcApicId = defineOp({
  id: 'hook.mpc_apic_id',
  class: 'set-up',
  does: 'Gives the APIC id of a CPU of the MP table.',
  params: { entry: 'gva' },
  returns: 'APIC id',
  native: MP,
  hooks: { '2.6.32': 'x86_init.mpparse.mpc_apic_id' },
});

export const smpReadMpcOem = defineOp({
  id: 'hook.smp_read_mpc_oem',
  class: 'set-up',
  does: "Reads the OEM's part of the MP table.",
  params: { table: 'gva' },
  native: { by: 'nothing', what: 'no-op' },
  hooks: { '2.6.32': 'x86_init.mpparse.smp_read_mpc_oem' },
});

export const mpcOemPciBus = defineOp({
  id: 'hook.mpc_oem_pci_bus',
  class: 'set-up',
  does: 'Looks at a PCI bus of the MP table.',
  params: { bus: 'gva' },
  native: { by: 'nothing', what: 'no-op' },
  hooks: { '2.6.32': 'x86_init.mpparse.mpc_oem_pci_bus' },
});

export const mpcOemBusInfo = defineOp({
  id: 'hook.mpc_oem_bus_info',
  class: 'set-up',
  does: 'Names a bus of the MP table.',
  params: { bus: 'gva', name: 'text' },
  native: MP,
  hooks: { '2.6.32': 'x86_init.mpparse.mpc_oem_bus_info' },
});

export const findSmpConfig = defineOp({
  id: 'hook.find_smp_config',
  class: 'set-up',
  does: 'Looks for the MP table.',
  native: MP,
  hooks: both('x86_init.mpparse.find_smp_config'),
});

export const getSmpConfig = defineOp({
  id: 'hook.get_smp_config',
  class: 'set-up',
  does: 'Reads the MP table.',
  params: { early: 'bool' },
  native: MP,
  hooks: both('x86_init.mpparse.get_smp_config'),
});

export const preVectorInit = defineOp({
  id: 'hook.pre_vector_init',
  class: 'set-up',
  does: 'Comes before the vectors are set up.',
  native: { by: 'port', what: 'the 8259 pair', ref: '8259A datasheet' },
  hooks: both('x86_init.irqs.pre_vector_init'),
});

export const trapInit = defineOp({
  id: 'hook.trap_init',
  class: 'set-up',
  does: "Adds a platform's own traps.",
  native: { by: 'nothing', what: 'no-op' },
  hooks: { '2.6.32': 'x86_init.irqs.trap_init' },
});

export const tscPreInit = defineOp({
  id: 'hook.tsc_pre_init',
  class: 'set-up',
  does: 'Comes before the TSC is calibrated.',
  native: { by: 'nothing', what: 'no-op' },
  hooks: { '2.6.32': 'x86_init.timers.tsc_pre_init' },
});

export const calibrateTsc = defineOp({
  id: 'hook.calibrate_tsc',
  class: 'set-up',
  does: 'Gives the rate of the time stamp counter.',
  returns: 'kHz',
  native: { by: 'port', what: 'measures the TSC against the PIT', ref: '8254 datasheet' },
  hooks: both('x86_platform.calibrate_tsc'),
});

export const calibrateCpu = defineOp({
  id: 'hook.calibrate_cpu',
  class: 'set-up',
  does: 'Gives the rate of the CPU.',
  returns: 'kHz',
  native: { by: 'cpuid', what: 'leaves 0x15 and 0x16, or the PIT', ref: 'SDM 2A CPUID' },
  hooks: { '6.1': 'x86_platform.calibrate_cpu' },
});

export const earlyPercpuClockInit = defineOp({
  id: 'hook.early_percpu_clock_init',
  class: 'set-up',
  does: "Registers a starting CPU's clock.",
  native: { by: 'nothing', what: 'no-op' },
  hooks: { '6.1': 'x86_cpuinit.early_percpu_clock_init' },
});

export const saveSchedClockState = defineOp({
  id: 'hook.save_sched_clock_state',
  class: 'set-up',
  does: 'Keeps the clock before a suspend.',
  native: { by: 'instruction', what: 'RDTSC', ref: 'SDM 3B 18.17' },
  hooks: { '6.1': 'x86_platform.save_sched_clock_state' },
});

export const restoreSchedClockState = defineOp({
  id: 'hook.restore_sched_clock_state',
  class: 'set-up',
  does: 'Sets the clock right after a suspend.',
  native: { by: 'instruction', what: 'RDTSC', ref: 'SDM 3B 18.17' },
  hooks: { '6.1': 'x86_platform.restore_sched_clock_state' },
});

export const apicPostInit = defineOp({
  id: 'hook.apic_post_init',
  class: 'set-up',
  does: 'Comes when the APIC driver has been chosen.',
  native: { by: 'nothing', what: 'no-op' },
  hooks: { '6.1': 'x86_platform.apic_post_init' },
});

export const getNmiReason = defineOp({
  id: 'hook.get_nmi_reason',
  class: 'corner case',
  does: 'Tells why there was an NMI.',
  returns: 'value',
  native: { by: 'port', what: 'IN from 0x61' },
  hooks: { '6.1': 'x86_platform.get_nmi_reason' },
});
