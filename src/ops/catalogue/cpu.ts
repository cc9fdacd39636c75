// Operations on the CPU: control and debug registers, MSRs, counters, CPUID, caches.

import { defineOp } from '../define.ts';

const ALWAYS = { from: '2.6.21', to: '6.1' } as const;
const UNTIL_2632 = { from: '2.6.21', to: '2.6.32' } as const;
const IN_2632 = { from: '2.6.32', to: '2.6.32' } as const;
const MOV_CR = 'SDM 2B MOV to/from control registers';
const MOV_DR = 'SDM 2B MOV to/from debug registers';

export const getDebugreg = defineOp({
  id: 'cpu.get_debugreg',
  class: 'hardware',
  does: 'Reads a debug register.',
  params: { n: 'index' },
  returns: 'value',
  native: { by: 'instruction', what: 'MOV from DRn', ref: MOV_DR },
  linux: ALWAYS,
});

export const setDebugreg = defineOp({
  id: 'cpu.set_debugreg',
  class: 'hardware',
  does: 'Writes a debug register.',
  params: { n: 'index', value: 'value' },
  native: { by: 'instruction', what: 'MOV to DRn', ref: MOV_DR },
  linux: ALWAYS,
});

export const clts = defineOp({
  id: 'cpu.clts',
  class: 'hardware',
  does: 'Clears CR0.TS, so that the FPU may be used.',
  native: { by: 'instruction', what: 'CLTS', ref: 'SDM 2A CLTS' },
  lazy: 'cpu',
  linux: UNTIL_2632,
  replacedBy: 'eager switching of the FPU',
});

export const readCr0 = defineOp({
  id: 'cpu.read_cr0',
  class: 'hardware',
  does: 'Reads CR0.',
  returns: 'value',
  native: { by: 'instruction', what: 'MOV from CR0', ref: MOV_CR },
  linux: ALWAYS,
});

export const writeCr0 = defineOp({
  id: 'cpu.write_cr0',
  class: 'hardware',
  does: 'Writes CR0.',
  params: { value: 'value' },
  native: { by: 'instruction', what: 'MOV to CR0', ref: MOV_CR },
  lazy: 'cpu',
  linux: ALWAYS,
});

export const readCr4Safe = defineOp({
  id: 'cpu.read_cr4_safe',
  class: 'hardware',
  does: 'Reads CR4, or gives 0 on a CPU that has none.',
  returns: 'value',
  native: { by: 'instruction', what: 'MOV from CR4, with a fix-up', ref: MOV_CR },
  linux: UNTIL_2632,
});

export const readCr4 = defineOp({
  id: 'cpu.read_cr4',
  class: 'hardware',
  does: 'Reads CR4.',
  returns: 'value',
  native: { by: 'instruction', what: 'MOV from CR4', ref: MOV_CR },
  linux: UNTIL_2632,
  replacedBy: 'a copy in memory',
});

export const writeCr4 = defineOp({
  id: 'cpu.write_cr4',
  class: 'hardware',
  does: 'Writes CR4.',
  params: { value: 'value' },
  native: { by: 'instruction', what: 'MOV to CR4', ref: MOV_CR },
  linux: ALWAYS,
});

export const readCr8 = defineOp({
  id: 'cpu.read_cr8',
  class: 'hardware',
  does: 'Reads the task priority.',
  returns: 'value',
  native: { by: 'instruction', what: 'MOV from CR8', ref: MOV_CR },
  linux: { ...IN_2632, needs: 'x86-64' },
});

export const writeCr8 = defineOp({
  id: 'cpu.write_cr8',
  class: 'hardware',
  does: 'Writes the task priority.',
  params: { value: 'value' },
  native: { by: 'instruction', what: 'MOV to CR8', ref: MOV_CR },
  linux: { ...IN_2632, needs: 'x86-64' },
});

export const setIoplMask = defineOp({
  id: 'cpu.set_iopl_mask',
  class: 'hardware',
  does: 'Sets the I/O privilege level of the current task.',
  params: { mask: 'flags' },
  native: { by: 'instruction', what: 'PUSHF; POPF', ref: 'SDM 2B POPF' },
  linux: UNTIL_2632,
  replacedBy: 'cpu.update_io_bitmap',
});

export const wbinvd = defineOp({
  id: 'cpu.wbinvd',
  class: 'hardware',
  does: 'Writes back and empties the caches.',
  native: { by: 'instruction', what: 'WBINVD', ref: 'SDM 2C WBINVD' },
  linux: ALWAYS,
});

export const ioDelay = defineOp({
  id: 'cpu.io_delay',
  class: 'hardware',
  does: 'Waits a moment after port I/O, for devices of the ISA bus.',
  native: { by: 'port', what: 'OUT to 0x80' },
  linux: { ...ALWAYS, withoutXxl: true },
});

export const cpuid = defineOp({
  id: 'cpu.cpuid',
  class: 'hardware',
  does: 'Asks what the CPU is and can.',
  params: { leaf: 'index', subleaf: 'index' },
  returns: 'registers',
  native: { by: 'cpuid', what: 'CPUID', ref: 'SDM 2A CPUID' },
  linux: ALWAYS,
});

export const readMsr = defineOp({
  id: 'cpu.read_msr',
  class: 'hardware',
  does: 'Reads a model-specific register; up to 2.6.32 a fault is an error, later a warning.',
  params: { msr: 'index' },
  returns: 'value',
  native: { by: 'msr', what: 'RDMSR', ref: 'SDM 2B RDMSR' },
  linux: ALWAYS,
});

export const writeMsr = defineOp({
  id: 'cpu.write_msr',
  class: 'hardware',
  does: 'Writes a model-specific register; up to 2.6.32 a fault is an error, later a warning.',
  params: { msr: 'index', value: 'value' },
  returns: 'errno',
  native: { by: 'msr', what: 'WRMSR', ref: 'SDM 2C WRMSR' },
  linux: ALWAYS,
});

export const readMsrSafe = defineOp({
  id: 'cpu.read_msr_safe',
  class: 'hardware',
  does: 'Reads a model-specific register that may not exist.',
  params: { msr: 'index' },
  returns: 'value',
  native: { by: 'msr', what: 'RDMSR, with a fix-up', ref: 'SDM 2B RDMSR' },
  linux: { from: '6.1', to: '6.1' },
});

export const writeMsrSafe = defineOp({
  id: 'cpu.write_msr_safe',
  class: 'hardware',
  does: 'Writes a model-specific register that may not exist.',
  params: { msr: 'index', value: 'value' },
  returns: 'errno',
  native: { by: 'msr', what: 'WRMSR, with a fix-up', ref: 'SDM 2C WRMSR' },
  linux: { from: '6.1', to: '6.1' },
});

export const rdmsrRegs = defineOp({
  id: 'cpu.rdmsr_regs',
  class: 'corner case',
  does: "Reads an MSR with all registers loaded, for AMD's password.",
  params: { registers: 'registers' },
  returns: 'errno',
  native: { by: 'msr', what: 'RDMSR', ref: 'SDM 2B RDMSR' },
  linux: IN_2632,
});

export const wrmsrRegs = defineOp({
  id: 'cpu.wrmsr_regs',
  class: 'corner case',
  does: "Writes an MSR with all registers loaded, for AMD's password.",
  params: { registers: 'registers' },
  returns: 'errno',
  native: { by: 'msr', what: 'WRMSR', ref: 'SDM 2C WRMSR' },
  linux: IN_2632,
});

export const readTsc = defineOp({
  id: 'cpu.read_tsc',
  class: 'hardware',
  does: 'Reads the time stamp counter.',
  returns: 'cycles',
  native: { by: 'instruction', what: 'RDTSC', ref: 'SDM 2B RDTSC' },
  linux: UNTIL_2632,
});

export const readPmc = defineOp({
  id: 'cpu.read_pmc',
  class: 'hardware',
  does: 'Reads a performance counter.',
  params: { n: 'index' },
  returns: 'value',
  native: { by: 'instruction', what: 'RDPMC', ref: 'SDM 2B RDPMC' },
  linux: ALWAYS,
});

export const readTscp = defineOp({
  id: 'cpu.read_tscp',
  class: 'hardware',
  does: "Reads the time stamp counter and the CPU's own number.",
  returns: 'cycles',
  native: { by: 'instruction', what: 'RDTSCP', ref: 'SDM 2B RDTSCP' },
  linux: IN_2632,
});
