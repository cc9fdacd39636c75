// Operations on other CPUs: smp_ops, 11 calls in 2.6.32 and 12 in 6.1.

import { defineOp } from '../define.ts';

const both = (member: string) => ({ '2.6.32': `smp_ops.${member}`, '6.1': `smp_ops.${member}` });
const IPI = { by: 'device', what: 'an IPI', ref: 'SDM 3A 11.6' } as const;

export const smpPrepareBootCpu = defineOp({
  id: 'smp.smp_prepare_boot_cpu',
  class: 'outside',
  does: 'Sets up the first CPU, early.',
  native: { by: 'code', what: 'its GDT and masks' },
  hooks: both('smp_prepare_boot_cpu'),
});

export const smpPrepareCpus = defineOp({
  id: 'smp.smp_prepare_cpus',
  class: 'outside',
  does: 'Comes before the other CPUs are started.',
  params: { max: 'count' },
  native: { by: 'device', what: 'sets up the local APIC', ref: 'SDM 3A 11.4' },
  hooks: both('smp_prepare_cpus'),
});

export const smpCpusDone = defineOp({
  id: 'smp.smp_cpus_done',
  class: 'outside',
  does: 'Comes when all CPUs are up.',
  params: { max: 'count' },
  native: { by: 'device', what: 'sets up I/O APIC and MTRRs', ref: 'SDM 3A 12.11' },
  hooks: both('smp_cpus_done'),
});

export const stopOtherCpus = defineOp({
  id: 'smp.stop_other_cpus',
  class: 'outside',
  does: 'Stops all other CPUs, for a panic or a reboot.',
  params: { wait: 'bool' },
  native: IPI,
  hooks: both('stop_other_cpus'),
});

export const crashStopOtherCpus = defineOp({
  id: 'smp.crash_stop_other_cpus',
  class: 'outside',
  does: 'Stops all other CPUs, for a crash kernel.',
  native: { by: 'device', what: 'an NMI to each', ref: 'SDM 3A 11.6' },
  hooks: { '6.1': 'smp_ops.crash_stop_other_cpus' },
});

export const smpSendReschedule = defineOp({
  id: 'smp.smp_send_reschedule',
  class: 'outside',
  does: 'Makes another CPU look for a task to run.',
  params: { cpu: 'cpu' },
  native: IPI,
  hooks: both('smp_send_reschedule'),
});

export const cpuUp = defineOp({
  id: 'smp.cpu_up',
  class: 'outside',
  does: 'Starts another CPU.',
  params: { cpu: 'cpu' },
  returns: 'errno',
  native: { by: 'device', what: 'INIT, then SIPI', ref: 'SDM 3A 9.4' },
  hooks: both('cpu_up'),
});

export const cpuDisable = defineOp({
  id: 'smp.cpu_disable',
  class: 'outside',
  does: 'Takes the CPU that runs it out of service.',
  returns: 'errno',
  native: { by: 'code', what: 'moves its interrupts away' },
  hooks: both('cpu_disable'),
});

export const cpuDie = defineOp({
  id: 'smp.cpu_die',
  class: 'outside',
  does: 'Waits on another CPU until one is out of service.',
  params: { cpu: 'cpu' },
  native: { by: 'code', what: 'waits for a flag' },
  hooks: both('cpu_die'),
});

export const playDead = defineOp({
  id: 'smp.play_dead',
  class: 'outside',
  does: 'Is the last thing that a CPU out of service runs.',
  native: { by: 'instruction', what: 'CLI; HLT, or MWAIT', ref: 'SDM 2A HLT' },
  hooks: both('play_dead'),
});

export const sendCallFuncIpi = defineOp({
  id: 'smp.send_call_func_ipi',
  class: 'outside',
  does: 'Makes other CPUs run the functions queued for them.',
  params: { cpus: 'cpus' },
  native: IPI,
  hooks: both('send_call_func_ipi'),
});

export const sendCallFuncSingleIpi = defineOp({
  id: 'smp.send_call_func_single_ipi',
  class: 'outside',
  does: 'Makes one other CPU run the functions queued for it.',
  params: { cpu: 'cpu' },
  native: IPI,
  hooks: both('send_call_func_single_ipi'),
});
