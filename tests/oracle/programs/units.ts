// FPU and vector state that is saved and restored, fences, cache lines, random numbers, processor facts: what no vector covers.

import * as at from '../layout.ts';
import { ax, BOTH, inRing3, type Program, popf, programs, pushf, wrmsr } from '../program.ts';

const OSFXSR = 0x200;
const OSXSAVE = 0x40000;
const FSGSBASE = 0x10000;
const AREA = at.DATA;
/** MXCSR, x87 and XMM registers with something in them. */
const FILL = `mov dword ptr [${AREA + 0x800}], 0x3f800000; mov dword ptr [${AREA + 0x804}], 0x9fa0
  fninit; fld1; fldpi; ldmxcsr [${AREA + 0x804}]
  movss xmm1, [${AREA + 0x800}]; pshufd xmm7, xmm1, 1`;
const MXCSR = `mov dword ptr [${AREA + 0x804}], 0x1f80; ldmxcsr [${AREA + 0x804}]`;
/** Everything as after reset but for the image, which is to bring it back. */
const WIPE = `fninit; ${MXCSR}; pxor xmm1, xmm1; pxor xmm7, xmm7`;
/** What the registers hold now, by other instructions. */
const LOOK = `stmxcsr [${AREA + 0x808}]; mov ebp, [${AREA + 0x808}]; movd ebx, xmm1; pshufd xmm7, xmm7, 0x1b; movd esi, xmm7
  fnstsw ax; mov edi, eax; fstp tbyte ptr [${AREA + 0x820}]; mov edx, [${AREA + 0x820}]; movzx ecx, word ptr [${AREA + 0x828}]; fninit; ${MXCSR}; xor eax, eax`;
const word = (offset: number): string => `[${AREA + offset}]`;
/** FCW and FSW, FTW, MXCSR, ST0, XMM1 and XMM7 of an image. */
const IMAGE = `mov eax, ${word(0)}; movzx ecx, byte ptr ${word(4)}; mov edx, ${word(24)}; mov ebx, ${word(36)}; movzx ebp, word ptr ${word(40)}; mov esi, ${word(176)}; mov edi, ${word(284)}; fninit; ${MXCSR}`;
const XCR0 = 'mov eax, 3; xor edx, edx; xor ecx, ecx; xsetbv';
const AGAIN = 'mov eax, 1; xor edx, edx; xor ecx, ecx; xsetbv';
/** The header behind it: XSTATE_BV and XCOMP_BV. SDM 1 13.4.2. */
const HEADER = `mov eax, ${word(512)}; mov ecx, ${word(520)}; mov edx, ${word(524)}`;

const fx = BOTH.flatMap((mode): Program[] => {
  const wide = mode === 'long' ? ['', '64'] : [''];
  return wide.flatMap((suffix): Program[] => [
    {
      name: `fxsave${suffix}, ${mode}`,
      ref: 'SDM 2A FXSAVE',
      mode,
      cr4: OSFXSR,
      code: `${FILL}; fxsave${suffix} ${word(0)}; ${IMAGE}`,
    },
    {
      name: `fxrstor${suffix}, ${mode}`,
      ref: 'SDM 2A FXRSTOR',
      mode,
      cr4: OSFXSR,
      code: `${FILL}; fxsave${suffix} ${word(0)}; ${WIPE}; fxrstor${suffix} ${word(0)}; ${LOOK}`,
    },
    ...(['xsave', 'xsaveopt', 'xsavec'] as const).flatMap((name): Program[] => [
      {
        name: `${name}${suffix}, ${mode}`,
        ref: `SDM 2D ${name.toUpperCase()}`,
        mode,
        cr4: OSFXSR | OSXSAVE,
        code: `${XCR0}; ${FILL}; mov eax, 3; xor edx, edx; ${name}${suffix} ${word(0)}; ${AGAIN}; ${IMAGE}; ${HEADER}`,
      },
      {
        name: `${name}${suffix} of SSE alone, ${mode}`,
        ref: `SDM 2D ${name.toUpperCase()}`,
        mode,
        cr4: OSFXSR | OSXSAVE,
        code: `${XCR0}; ${FILL}; mov eax, 2; xor edx, edx; ${name}${suffix} ${word(0)}; ${AGAIN}; ${IMAGE}; ${HEADER}`,
      },
    ]),
    {
      name: `xrstor${suffix}, ${mode}`,
      ref: 'SDM 2D XRSTOR',
      mode,
      cr4: OSFXSR | OSXSAVE,
      code: `${XCR0}; ${FILL}; mov eax, 3; xor edx, edx; xsave${suffix} ${word(0)}; ${WIPE}; mov eax, 3; xor edx, edx; xrstor${suffix} ${word(0)}; ${AGAIN}; ${LOOK}`,
    },
    {
      name: `xrstor${suffix} of what is not there resets, ${mode}`,
      ref: 'SDM 1 13.8',
      mode,
      cr4: OSFXSR | OSXSAVE,
      code: `${XCR0}; ${FILL}; mov dword ptr ${word(24)}, 0x1f80; mov eax, 3; xor edx, edx; xrstor${suffix} ${word(0)}; ${AGAIN}; ${LOOK}`,
    },
    {
      name: `xrstor${suffix} of a state that XCR0 lacks, ${mode}`,
      ref: 'SDM 2D XRSTOR',
      mode,
      cr4: OSFXSR | OSXSAVE,
      code: `mov dword ptr ${word(512)}, 2; mov eax, 3; xor edx, edx; xrstor${suffix} ${word(0)}`,
    },
    {
      name: `xsave${suffix} without OSXSAVE, ${mode}`,
      ref: 'SDM 2D XSAVE',
      mode,
      cr4: OSFXSR,
      code: `xsave${suffix} ${word(0)}`,
    },
    {
      name: `xsave${suffix} not aligned, ${mode}`,
      ref: 'SDM 2D XSAVE',
      mode,
      cr4: OSFXSR | OSXSAVE,
      code: `xsave${suffix} ${word(16)}`,
    },
    {
      name: `fxrstor${suffix} with reserved bits of MXCSR, ${mode}`,
      ref: 'SDM 2A FXRSTOR',
      mode,
      cr4: OSFXSR,
      code: `mov dword ptr ${word(24)}, 0x10000; fxrstor${suffix} ${word(0)}`,
    },
  ]);
});

/** Control, status and tag word of an environment of 32 bits, and of the state behind it. */
const ENVIRONMENT = `movzx eax, word ptr ${word(0)}; movzx ecx, word ptr ${word(4)}; movzx edx, word ptr ${word(8)}`;
const environment = BOTH.flatMap((mode): Program[] => [
  {
    name: `fnstenv masks exceptions, ${mode}`,
    ref: 'SDM 2A FSTENV',
    mode,
    code: `fninit; fld1; fldz; mov word ptr ${word(64)}, 0x27e; fldcw ${word(64)}; fnstenv ${word(0)}; ${ENVIRONMENT}; fnstcw ${word(64)}; movzx ebx, word ptr ${word(64)}; fninit`,
  },
  {
    name: `fldenv, ${mode}`,
    ref: 'SDM 2A FLDENV',
    mode,
    code: `fninit; fld1; fldpi; fnstenv ${word(0)}; fninit; fldenv ${word(0)}; fnstsw ax; mov esi, eax; fnstenv ${word(64)}; movzx edi, word ptr ${word(72)}; fninit; xor eax, eax`,
  },
  {
    name: `fnsave begins anew, ${mode}`,
    ref: 'SDM 2A FSAVE',
    mode,
    code: `fninit; fld1; fldpi; fnsave ${word(0)}; ${ENVIRONMENT}; mov ebx, ${word(28)}; mov ebp, ${word(32)}; movzx esi, word ptr ${word(36)}; fnstenv ${word(256)}; movzx edi, word ptr ${word(264)}; fninit`,
  },
  {
    name: `frstor, ${mode}`,
    ref: 'SDM 2A FRSTOR',
    mode,
    code: `fninit; fld1; fldpi; fnsave ${word(0)}; frstor ${word(0)}; fnstsw ax; mov esi, eax; fstp tbyte ptr ${word(256)}; mov ecx, ${word(260)}; fstp tbyte ptr ${word(256)}; mov edx, ${word(260)}; movzx ebx, word ptr ${word(264)}; fninit; xor eax, eax`,
  },
  {
    name: `instructions of the 8087 and the 287 do nothing, ${mode}`,
    ref: 'SDM 3B 23.18.1',
    mode,
    code: `fninit; fld1; db 0xdb, 0xe0, 0xdb, 0xe1, 0xdb, 0xe4; fnstsw ax; mov ecx, eax; fnstcw ${word(0)}; movzx edx, word ptr ${word(0)}; fninit; xor eax, eax`,
  },
  {
    name: `fnstsw to a register and fwait, ${mode}`,
    ref: 'SDM 2A FSTSW',
    mode,
    code: 'fninit; fldz; fld1; fcompp; fwait; fnstsw ax',
  },
]);

const CACHE = ['clflush', 'clflushopt', 'clwb'] as const;
const order = BOTH.flatMap((mode): Program[] => [
  ...['lfence', 'mfence', 'sfence', 'pause'].map(
    (name): Program => ({
      name: `${name}, ${mode}`,
      ref: `SDM 2A ${name.toUpperCase()}`,
      mode,
      code: `mov dword ptr ${word(0)}, 5; stc; ${name}; mov ecx, ${word(0)}; setc al`,
    }),
  ),
  ...CACHE.map(
    (name): Program => ({
      name: `${name} changes nothing, ${mode}`,
      ref: `SDM 2A ${name.toUpperCase()}`,
      mode,
      code: `mov dword ptr ${word(0)}, 5; stc; ${name} byte ptr ${word(0)}; mov ecx, ${word(0)}; setc al`,
    }),
  ),
]);
const cacheFaults = ['clflush', 'clflushopt'].flatMap((name): Program[] => [
  {
    name: `${name} of an absent page`,
    ref: `SDM 2A ${name.toUpperCase()}`,
    mode: 'long',
    code: `${name} byte ptr [${at.WINDOW}]`,
  },
  {
    name: `${name} reads as far as rights go`,
    ref: `SDM 2A ${name.toUpperCase()}`,
    mode: 'long',
    code: inRing3('long', `${name} byte ptr [${at.DATA}]`),
  },
]);

/** Bits that every processor since the Pentium Pro sets: FPU, TSC, MSR, PAE, CX8, CMOV. */
const COMMON = 0x8171;
const facts = BOTH.flatMap((mode): Program[] => [
  {
    name: `cpuid says what all have, ${mode}`,
    ref: 'SDM 2A CPUID',
    mode,
    code: `mov eax, 1; xor ecx, ecx; cpuid; and edx, ${COMMON}; xor eax, eax; xor ebx, ebx; xor ecx, ecx`,
  },
  {
    name: `cpuid: long mode and NX, ${mode}`,
    ref: 'SDM 2A CPUID',
    mode,
    code: 'mov eax, 0x80000001; xor ecx, ecx; cpuid; and edx, 0x20100000; xor eax, eax; xor ebx, ebx; xor ecx, ecx',
  },
  ...['rdrand', 'rdseed'].flatMap((name) =>
    [16, 32, ...(mode === 'long' ? [64] : [])].map((bits): Program => {
      const register = bits === 16 ? 'bx' : bits === 32 ? 'ebx' : 'rbx';
      return {
        name: `${name} of ${bits} bits sets the carry alone, ${mode}`,
        ref: `SDM 2B ${name.toUpperCase()}`,
        mode,
        code: `mov ebx, 0; mov eax, 0x8d4; push ${ax(mode)}; ${popf(mode)}\nagain:\n${name} ${register}; jnc again; ${pushf(mode)}; pop ${mode === 'long' ? 'rcx' : 'ecx'}; xor ebx, ebx; xor eax, eax`,
      };
    }),
  ),
  ...['vmcall', 'vmmcall'].map(
    (name): Program => ({
      name: `${name} without a hypervisor, ${mode}`,
      ref: 'SDM 3C VMCALL, APM 3 VMMCALL',
      mode,
      code: name,
    }),
  ),
]);
const long: Program[] = [
  {
    name: 'rdpid',
    ref: 'SDM 2B RDPID',
    mode: 'long',
    code: `${wrmsr(0xc0000103, 0x1234)}; mov rax, -1; rdpid rax; mov ebx, eax; xor eax, eax; mov ecx, 0xc0000103; wrmsr`,
  },
  {
    name: 'wrgsbase and rdgsbase',
    ref: 'SDM 2B WRGSBASE',
    mode: 'long',
    cr4: FSGSBASE,
    code: 'mov rax, 0x123456789000; wrgsbase rax; rdgsbase rcx; rdgsbase edx; mov eax, -1; wrgsbase eax; rdgsbase rbx; xor eax, eax; wrgsbase rax',
  },
  {
    name: 'wrgsbase not canonical',
    ref: 'SDM 2B WRGSBASE',
    mode: 'long',
    cr4: FSGSBASE,
    code: 'mov rax, 0x8000000000000000; wrgsbase rax',
  },
  {
    name: 'wrfsbase of 32 bits',
    ref: 'SDM 2B WRFSBASE',
    mode: 'long',
    cr4: FSGSBASE,
    code: 'mov rax, -1; wrfsbase eax; rdfsbase rcx; rdfsbase edx; xor eax, eax; wrfsbase rax',
  },
];
const rdpid32: Program = {
  name: 'rdpid in 32-bit code',
  ref: 'SDM 2B RDPID',
  mode: 'prot',
  code: `${wrmsr(0xc0000103, 0x1234)}; mov eax, -1; rdpid eax; mov ebx, eax; xor eax, eax; mov ecx, 0xc0000103; wrmsr`,
};

/** No device answers there on any of the machines. */
const NOBODY = 0x5000;
const io = BOTH.flatMap((mode): Program[] => [
  {
    name: `in of 16 and 32 bits from nobody, ${mode}`,
    ref: 'SDM 2A IN',
    mode,
    code: `mov edx, ${NOBODY}; in eax, dx; mov ecx, eax; xor eax, eax; in ax, dx; mov ebx, eax; xor eax, eax; in al, dx`,
  },
  {
    name: `in with an immediate from nobody, ${mode}`,
    ref: 'SDM 2A IN',
    mode,
    code: 'in eax, 0xe4; mov ecx, eax; xor eax, eax; in ax, 0xe4; mov ebx, eax; xor eax, eax; in al, 0xe4',
  },
  {
    name: `out of 16 and 32 bits to nobody, ${mode}`,
    ref: 'SDM 2B OUT',
    mode,
    code: `mov edx, ${NOBODY}; mov eax, 0x12345678; out dx, eax; out dx, ax; out dx, al; out 0xe4, eax; out 0xe4, ax`,
  },
  {
    name: `ins of all sizes from nobody, ${mode}`,
    ref: 'SDM 2A INS',
    mode,
    code: `mov edx, ${NOBODY}; mov edi, ${AREA}; insb; insw; insd; mov eax, ${word(0)}; mov ecx, ${word(4)}; mov ebx, ${word(8)}`,
  },
  {
    name: `rep ins, ${mode}`,
    ref: 'SDM 2A INS',
    mode,
    code: `mov edx, ${NOBODY}; mov edi, ${AREA}; mov ecx, 3; rep insw; mov eax, ${word(0)}; mov ebx, ${word(4)}`,
  },
  {
    name: `outs of all sizes to nobody, ${mode}`,
    ref: 'SDM 2B OUTS',
    mode,
    code: `mov edx, ${NOBODY}; mov esi, ${AREA}; outsb; outsw; outsd; std; outsw; cld; mov ecx, 2; rep outsd`,
  },
]);

/** Privileged instructions that succeed. */
const quiet = BOTH.flatMap((mode): Program[] => [
  ...['invd', 'wbinvd', `invlpg [${AREA}]`, `invlpg [${at.WINDOW}]`, 'clts'].map(
    (code): Program => ({
      name: `${code} changes nothing that is seen, ${mode}`,
      ref: 'SDM 3A 2.8',
      mode,
      code: `mov dword ptr ${word(0)}, 5; stc; ${code}; mov ecx, ${word(0)}; setc al`,
    }),
  ),
  {
    name: `rdpmc of a counter that there is not, ${mode}`,
    ref: 'SDM 2B RDPMC',
    mode,
    code: 'mov ecx, 0x3fffffff; rdpmc',
  },
  {
    name: `mov from every segment register, ${mode}`,
    ref: 'SDM 2B MOV',
    mode,
    code: `push ${at.UDATA32}; pop fs; push ${at.DATA32}; pop gs; mov eax, -1; mov ax, es; mov ecx, cs; mov edx, ss; mov ebx, ds; mov esi, fs; mov edi, -1; mov di, gs; mov dword ptr ${word(0)}, -1; mov ${word(0)}, gs; mov ebp, ${word(0)}`,
  },
]);

/** Pushes, pops and far pointers of the segment registers that nothing else runs. */
const segmentsOf: Program[] = [
  {
    name: 'pop of SS',
    ref: 'SDM 2B POP',
    mode: 'prot',
    code: `push ${at.DATA16}; pop ss; mov eax, ss; push 0x1234; mov ecx, esp`,
  },
  {
    name: 'push of CS and SS',
    ref: 'SDM 2B PUSH',
    mode: 'prot',
    code: 'push cs; pop eax; push ss; pop ecx; push ds; push es; push fs; push gs; pop edx; pop ebx; pop esi; pop edi',
  },
  {
    name: 'pop of GS and FS',
    ref: 'SDM 2B POP',
    mode: 'prot',
    code: `push ${at.UDATA32}; pop gs; push ${at.DATA32}; pop fs`,
  },
  {
    name: 'pop of GS and FS, long',
    ref: 'SDM 2B POP',
    mode: 'long',
    code: `push ${at.UDATA32}; pop gs; push ${at.DATA32}; pop fs; push fs; pop rax; push gs; pop rcx`,
  },
  ...(['lfs', 'lgs', 'les', 'lds', 'lss'] as const).map(
    (name): Program => ({
      name: `${name} loads a pointer`,
      ref: 'SDM 2A LDS/LES/LFS/LGS/LSS',
      mode: 'prot',
      code: `mov dword ptr ${word(0)}, ${name === 'lss' ? at.STACK0 - 0x100 : 0x12345678}; mov word ptr ${word(4)}, ${at.DATA32}; ${name} ${name === 'lss' ? 'esp' : 'eax'}, ${word(0)}`,
    }),
  ),
  ...(['lfs', 'lgs', 'lss'] as const).flatMap((name): Program[] => [
    {
      name: `${name} of 64 bits`,
      ref: 'SDM 2A LDS/LES/LFS/LGS/LSS',
      mode: 'long',
      code: `mov dword ptr ${word(0)}, 0x1a100; mov dword ptr ${word(4)}, 0; mov word ptr ${word(4)}, ${at.DATA32}; ${name} eax, ${word(0)}`,
    },
    {
      name: `${name} of an absent segment keeps the register`,
      ref: 'SDM 2A LDS/LES/LFS/LGS/LSS',
      mode: 'prot',
      code: `mov dword ptr ${word(0)}, 0x12345678; mov word ptr ${word(4)}, ${at.ABSENT_DATA}; ${name} eax, ${word(0)}`,
    },
  ]),
];

export const unitPrograms = programs('state of the units', [...fx, ...environment]);
export const factPrograms = programs('facts and order', [
  ...order,
  ...cacheFaults,
  ...facts,
  ...long,
  rdpid32,
]);
export const ioPrograms = programs('ports without a device', io);
export const quietPrograms = programs('ring 0', quiet);
export const pointerPrograms = programs('far pointers', segmentsOf);
