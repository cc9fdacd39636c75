// Operations on the machine as a whole: machine_ops, 6 calls.

import { defineOp } from '../define.ts';

const both = (member: string) => ({
  '2.6.32': `machine_ops.${member}`,
  '6.1': `machine_ops.${member}`,
});

export const restart = defineOp({
  id: 'machine.restart',
  class: 'outside',
  does: 'Reboots the machine.',
  params: { command: 'text' },
  native: {
    by: 'port',
    what: 'ACPI reset register, keyboard controller, or triple fault',
    ref: 'ACPI 6.4 4.8.3.6',
  },
  hooks: both('restart'),
});

export const halt = defineOp({
  id: 'machine.halt',
  class: 'outside',
  does: 'Stops the machine for ever.',
  native: { by: 'instruction', what: 'CLI; HLT', ref: 'SDM 2A HLT' },
  hooks: both('halt'),
});

export const powerOff = defineOp({
  id: 'machine.power_off',
  class: 'outside',
  does: 'Switches the machine off.',
  native: { by: 'port', what: "ACPI's sleep control of S5", ref: 'ACPI 6.4 7.4.2.6' },
  hooks: both('power_off'),
});

export const shutdown = defineOp({
  id: 'machine.shutdown',
  class: 'outside',
  does: 'Stops other CPUs and devices before a restart or another kernel.',
  native: { by: 'device', what: 'IPIs; switches the APICs off', ref: 'SDM 3A 11.4.3' },
  hooks: both('shutdown'),
});

export const crashShutdown = defineOp({
  id: 'machine.crash_shutdown',
  class: 'outside',
  does: 'The same, from a kernel that has crashed.',
  params: { registers: 'registers' },
  native: { by: 'device', what: 'NMIs; switches the APICs off', ref: 'SDM 3A 11.4.3' },
  hooks: both('crash_shutdown'),
});

export const emergencyRestart = defineOp({
  id: 'machine.emergency_restart',
  class: 'outside',
  does: 'Reboots without asking anybody.',
  native: { by: 'port', what: 'as machine.restart', ref: 'ACPI 6.4 4.8.3.6' },
  hooks: both('emergency_restart'),
});
