// Operations on the local APIC, the odd corner of the debate.

import { defineOp } from '../define.ts';

const BEFORE = { from: '2.6.21', to: '2.6.22', needs: 'local apic' } as const;

export const apicRead = defineOp({
  id: 'apic.read',
  class: 'corner case',
  does: 'Reads a register of the local APIC.',
  params: { reg: 'APIC register' },
  returns: 'value',
  native: { by: 'device', what: 'MMIO, or RDMSR in x2APIC mode', ref: 'SDM 3A 11.4.1' },
  linux: { ...BEFORE, names: { '2.6.21': 'apic_read', '2.6.22': 'apic_read' } },
  hooks: { '2.6.32': 'apic->read', '6.1': 'apic->read' },
});

export const apicWrite = defineOp({
  id: 'apic.write',
  class: 'corner case',
  does: 'Writes a register of the local APIC.',
  params: { reg: 'APIC register', value: 'value' },
  native: { by: 'device', what: 'MMIO, or WRMSR in x2APIC mode', ref: 'SDM 3A 11.4.1' },
  linux: { ...BEFORE, names: { '2.6.21': 'apic_write', '2.6.22': 'apic_write' } },
  hooks: { '2.6.32': 'apic->write', '6.1': 'apic->write' },
});

export const apicWriteAtomic = defineOp({
  id: 'apic.apic_write_atomic',
  class: 'corner case',
  does: 'Writes a register of the local APIC with a locked exchange, for an erratum of the Pentium.',
  params: { reg: 'APIC register', value: 'value' },
  native: { by: 'device', what: 'XCHG to MMIO', ref: 'SDM 3A 11.4.1' },
  linux: BEFORE,
  replacedBy: 'apic.write',
});

export const setupBootClock = defineOp({
  id: 'apic.setup_boot_clock',
  class: 'set-up',
  does: "Starts the boot CPU's local timer.",
  native: { by: 'device', what: 'local APIC timer', ref: 'SDM 3A 11.5.4' },
  linux: BEFORE,
  hooks: {
    '2.6.32': 'x86_init.timers.setup_percpu_clockev',
    '6.1': 'x86_init.timers.setup_percpu_clockev',
  },
});

export const setupSecondaryClock = defineOp({
  id: 'apic.setup_secondary_clock',
  class: 'set-up',
  does: "Starts another CPU's local timer.",
  native: { by: 'device', what: 'local APIC timer', ref: 'SDM 3A 11.5.4' },
  linux: BEFORE,
  hooks: {
    '2.6.32': 'x86_cpuinit.setup_percpu_clockev',
    '6.1': 'x86_cpuinit.setup_percpu_clockev',
  },
});

export const startupIpiHook = defineOp({
  id: 'apic.startup_ipi_hook',
  class: 'corner case',
  does: 'Tells where another CPU will begin, before INIT and SIPI are sent to it.',
  params: { cpu: 'APIC id', eip: 'gva', esp: 'gva' },
  native: { by: 'nothing', what: 'no-op' },
  linux: { from: '2.6.21', to: '2.6.32', needs: 'local apic' },
});

export const icrRead = defineOp({
  id: 'apic.icr_read',
  class: 'corner case',
  does: 'Reads the interrupt command register.',
  returns: 'value',
  native: { by: 'device', what: 'MMIO, or RDMSR 0x830', ref: 'SDM 3A 11.6.1' },
  hooks: { '2.6.32': 'apic->icr_read', '6.1': 'apic->icr_read' },
});

export const icrWrite = defineOp({
  id: 'apic.icr_write',
  class: 'corner case',
  does: 'Sends an inter-processor interrupt.',
  params: { low: 'value', target: 'APIC id' },
  native: { by: 'device', what: 'MMIO, or WRMSR 0x830', ref: 'SDM 3A 11.6.1' },
  hooks: { '2.6.32': 'apic->icr_write', '6.1': 'apic->icr_write' },
});

export const waitIcrIdle = defineOp({
  id: 'apic.wait_icr_idle',
  class: 'corner case',
  does: 'Waits until the last inter-processor interrupt has been sent.',
  native: {
    by: 'device',
    what: 'reads the ICR until its delivery bit is clear',
    ref: 'SDM 3A 11.6.1',
  },
  hooks: { '2.6.32': 'apic->wait_icr_idle', '6.1': 'apic->wait_icr_idle' },
});

export const safeWaitIcrIdle = defineOp({
  id: 'apic.safe_wait_icr_idle',
  class: 'corner case',
  does: 'The same, for a bounded time.',
  returns: 'value',
  native: {
    by: 'device',
    what: 'reads the ICR until its delivery bit is clear',
    ref: 'SDM 3A 11.6.1',
  },
  hooks: { '2.6.32': 'apic->safe_wait_icr_idle', '6.1': 'apic->safe_wait_icr_idle' },
});

export const eoiWrite = defineOp({
  id: 'apic.eoi_write',
  class: 'corner case',
  does: 'Ends the interrupt in service.',
  native: { by: 'device', what: 'MMIO at 0xb0, or WRMSR 0x80b', ref: 'SDM 3A 11.8.5' },
  hooks: { '6.1': 'apic->eoi_write' },
});
