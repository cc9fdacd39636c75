// System instructions: control and debug registers, caches and translations, MSRs, time, system calls, hypervisor calls.

import type { Build } from './build.ts';
import type { Form, Insn, Operand } from './define.ts';
import type { Value, Width } from './ir.ts';
import { hiddenByUmip } from './segment.ts';

const UD = 6;
const GP = 13;
const IOPL_SHIFT = 12;
const EFLAGS_IF = 1 << 9;

export const movControl: Insn = moves('read_control', 'write_control', [
  { op: '0f 20 /r', args: 'Ry,Cy', size64: 'f64' },
  { op: '0f 22 /r', args: 'Cy,Ry', size64: 'f64' },
]);

export const movDebug: Insn = moves('read_debug', 'write_debug', [
  { op: '0f 21 /r', args: 'Ry,Dy', size64: 'f64' },
  { op: '0f 23 /r', args: 'Dy,Ry', size64: 'f64' },
]);

export const clts = privilegedCall('clts', '0f 06', 'SDM 2B CLTS');
export const hlt = privilegedCall('hlt', 'f4', 'SDM 2A HLT');
export const rdmsr = privilegedCall('rdmsr', '0f 32', 'SDM 2B RDMSR', { needs: 'msr' });
export const wrmsr = privilegedCall('wrmsr', '0f 30', 'SDM 2B WRMSR', { needs: 'msr' });
export const swapgs: Insn = {
  name: 'swapgs',
  ref: 'SDM 2B SWAPGS',
  forms: [{ op: '0f 01 =f8', args: '', only: '64', needs: 'lm' }],
  privileged: true,
  sem: (b) => void b.call('swapgs', []),
};
export const sysret = privilegedCall('sysret', '0f 07', 'SDM 2B SYSRET', { needs: 'syscall' });
export const sysexit = privilegedCall('sysexit', '0f 35', 'SDM 2B SYSEXIT', { needs: 'sep' });
export const syscall = plainCall('syscall', '0f 05', 'SDM 2B SYSCALL', { needs: 'syscall' });
export const sysenter = plainCall('sysenter', '0f 34', 'SDM 2B SYSENTER', { needs: 'sep' });
export const cpuid = plainCall('cpuid', '0f a2', 'SDM 2A CPUID');

/** CPL 0 is asked for by #UD here, not #GP. SDM 2A CLAC. */
export const clac = accessCheck('clac', 'ca', 0);
export const stac = accessCheck('stac', 'cb', 1);

export const vmcall = hypervisorCall('vmcall', 'c1', 0);
export const vmmcall = hypervisorCall('vmmcall', 'd9', 1);

export const cli: Insn = {
  name: 'cli',
  ref: 'SDM 2A CLI',
  forms: [{ op: 'fa', args: '' }],
  flags: { if: 'w' },
  sem(b) {
    const flags = b.state('eflags', 32);
    b.faultIf(b.cmp('ltu', iopl(b, flags), b.state('cpl', 32)), GP, 0);
    b.setState('eflags', b.bin('and', flags, b.const(32, ~EFLAGS_IF)));
  },
};

export const sti: Insn = {
  name: 'sti',
  ref: 'SDM 2B STI',
  forms: [{ op: 'fb', args: '' }],
  flags: { if: 'w' },
  sem(b) {
    b.call('sti', []);
    b.boundary();
  },
};

export const smsw: Insn = {
  name: 'smsw',
  ref: 'SDM 2B SMSW',
  forms: [{ op: '0f 01 /4', args: 'Ev/w' }],
  sem(b, dst) {
    hiddenByUmip(b);
    b.write(dst, b.cast(dst.size < 32 ? 'trunc' : 'zext', b.state('cr0', 32), dst.size as Width));
  },
};

export const lmsw: Insn = {
  name: 'lmsw',
  ref: 'SDM 2A LMSW',
  forms: [{ op: '0f 01 /6', args: 'Ew' }],
  privileged: true,
  sem: (b, src) => b.callEnd('lmsw', [b.zext(b.read(src), 32)]),
};

export const invlpg: Insn = {
  name: 'invlpg',
  ref: 'SDM 2A INVLPG',
  forms: [{ op: '0f 01 /7', args: 'Mb' }],
  privileged: true,
  sem: (b) => b.callEnd('invlpg', [b.linear('operand', b.address(), 1, false)]),
};

export const invpcid: Insn = {
  name: 'invpcid',
  ref: 'SDM 2A INVPCID',
  forms: [{ op: '66 0f 38 82 /r', args: 'Gy,Mdq', size64: 'f64', needs: 'invpcid' }],
  privileged: true,
  sem(b, type) {
    const va = b.linear('operand', b.address(), 16, false);
    b.callEnd('invpcid', [b.zext(b.read(type), 64), va]);
  },
};

/** There are no caches to lose or write back. */
export const wbinvd = cacheOperation('wbinvd', '09');
export const invd = cacheOperation('invd', '08');

/** Faults as a read of the byte would. */
export const clflush: Insn = {
  name: 'clflush',
  ref: 'SDM 2A CLFLUSH',
  forms: [{ op: 'NP 0f ae /7', args: 'Mb', needs: 'clflush' }],
  sem(b, at) {
    b.read(at);
  },
};

/** As CLFLUSH: there is no cache that could keep the line or lose it. */
export const clflushopt: Insn = {
  name: 'clflushopt',
  ref: 'SDM 2A CLFLUSHOPT',
  forms: [{ op: '66 0f ae /7', args: 'Mb', needs: 'clflushopt' }],
  sem(b, at) {
    b.read(at);
  },
};

export const clwb: Insn = {
  name: 'clwb',
  ref: 'SDM 2A CLWB',
  forms: [{ op: '66 0f ae /6', args: 'Mb', needs: 'clwb' }],
  sem(b, at) {
    b.read(at);
  },
};

export const lfence = fence('lfence', 'e8', 'sse2');
export const mfence = fence('mfence', 'f0', 'sse2');
export const sfence = fence('sfence', 'f8', 'sse');

export const rdtsc: Insn = {
  name: 'rdtsc',
  ref: 'SDM 2B RDTSC',
  forms: [{ op: '0f 31', args: '', needs: 'tsc' }],
  sem(b) {
    const [low, high] = b.call('rdtsc', [], [32, 32]) as [Value, Value];
    b.setReg('rax', low);
    b.setReg('rdx', high);
  },
};

export const rdtscp: Insn = {
  name: 'rdtscp',
  ref: 'SDM 2B RDTSCP',
  forms: [{ op: '0f 01 =f9', args: '', needs: 'rdtscp' }],
  sem(b) {
    const [low, high] = b.call('rdtsc', [], [32, 32]) as [Value, Value];
    b.setReg('rax', low);
    b.setReg('rdx', high);
    b.setReg('rcx', b.state('tscAux', 32));
  },
};

/** There are no performance counters: every counter number is out of range. */
export const rdpmc: Insn = {
  name: 'rdpmc',
  ref: 'SDM 2B RDPMC',
  forms: [{ op: '0f 33', args: '' }],
  sem: (b) => b.fault(GP, 0),
};

function iopl(b: Build, flags: Value): Value {
  const shifted = b.bin('shr', flags, b.const(32, IOPL_SHIFT));
  return b.bin('and', shifted, b.const(32, 3));
}

/** Which way is told by the operands: the general register is read for a write to the special one. */
function moves(read: string, write: string, forms: readonly Form[]): Insn {
  return {
    name: 'mov',
    ref: 'SDM 2B MOV',
    forms,
    privileged: true,
    sem(b, dst, src) {
      if (isGeneral(dst)) {
        const [value] = b.call(read, [b.regNumber(src)], [64]) as [Value];
        b.write(dst, b.trunc(value, dst.size as Width));
        return;
      }
      b.callEnd(write, [b.regNumber(dst), b.zext(b.read(src), 64)]);
    },
  };
}

function isGeneral(o: Operand): boolean {
  return o.kind === 'reg' && o.file === 'gpr';
}

function plainCall(name: string, op: string, ref: string, rest: Partial<Form> = {}): Insn {
  return { name, ref, forms: [{ op, args: '', ...rest }], sem: (b) => b.callEnd(name) };
}

function privilegedCall(name: string, op: string, ref: string, rest: Partial<Form> = {}): Insn {
  return { ...plainCall(name, op, ref, rest), privileged: true };
}

function accessCheck(name: string, modrm: string, set: 0 | 1): Insn {
  return {
    name,
    ref: 'SDM 2A CLAC, SDM 2B STAC',
    forms: [{ op: `NP 0f 01 =${modrm}`, args: '', needs: 'smap' }],
    sem(b) {
      b.faultIf(b.not1(b.isZero(b.state('cpl', 32))), UD, null);
      b.call('set_ac', [b.const(32, set)]);
    },
  };
}

function hypervisorCall(name: string, modrm: string, which: 0 | 1): Insn {
  return {
    name,
    ref: 'SDM 3C VMCALL, APM 3 VMMCALL',
    forms: [{ op: `${which === 0 ? 'NP ' : ''}0f 01 =${modrm}`, args: '' }],
    sem: (b) => b.callEnd('hypercall', [b.const(32, which)]),
  };
}

function cacheOperation(name: string, opcode: string): Insn {
  return {
    name,
    ref: `SDM 2 ${name.toUpperCase()}`,
    forms: [{ op: `0f ${opcode}`, args: '' }],
    privileged: true,
    sem: () => {},
  };
}

function fence(name: string, modrm: string, needs: string): Insn {
  return {
    name,
    ref: `SDM 2 ${name.toUpperCase()}`,
    forms: [{ op: `NP 0f ae =${modrm}`, args: '', needs }],
    sem: () => {},
  };
}
