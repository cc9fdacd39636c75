// Where Bochs 2.7 and QEMU 7.2 give different answers, or both a wrong one: which is right, and who says so.

export interface Difference {
  /** Names of programs. */
  readonly programs: RegExp;
  readonly right: 'bochs' | 'qemu' | { readonly text: string };
  /** Where the rule stands. */
  readonly ref: string;
  /** What the other one does. */
  readonly why: string;
}

/** The first that matches a program counts. It is asked only where the two differ, unless it brings its own text. */
export const DIFFERENCES: readonly Difference[] = [
  // Both wrong.
  {
    programs: /^steps\/steps of a repeated string instruction, prot$/,
    right: {
      text: [3, 2, 1]
        .map(
          (n) =>
            `#1/32 [2001a 8 10102] dr6=ffff4ff0 sp=c7f0 cs=8 ss=10 fl=2 cx=${n} di=1a00${4 - n}`,
        )
        .join(' | '),
    },
    ref: 'SDM 3B 17.3.1.1',
    why: 'between the iterations of a string instruction a trap pushes RF set; neither does',
  },
  {
    programs: /^steps\/steps of a repeated string instruction, long$/,
    right: {
      text: [3, 2, 1]
        .map(
          (n) =>
            `#1/64 [2001b 28 10102 c800 10] dr6=ffff4ff0 sp=c7d8 cs=28 ss=10 fl=2 cx=${n} di=1a00${4 - n}`,
        )
        .join(' | '),
    },
    ref: 'SDM 3B 17.3.1.1',
    why: 'as above',
  },
  {
    programs: /^returns\/iret to ring 3, SS absent$/,
    right: { text: '#12/32 [c8 20013 8 10002 20014 1b 2 e800 cb] sp=c7d8 cs=8 ss=10 fl=2' },
    ref: 'SDM 2A IRET (operation), APM 3 IRET',
    why: 'an absent stack segment is #SS; both give #NP, which only the list of exceptions in SDM 2A knows',
  },
  {
    programs: /^returns\/iretq to ring 3, SS absent$/,
    right: {
      text: '#12/64 [c8 20013 28 10002 c7d8 10 0 20015 33 2 e800 cb] sp=c7a0 cs=28 ss=10 fl=2',
    },
    ref: 'SDM 2A IRET (operation), APM 3 IRET',
    why: 'as above',
  },
  {
    programs: /^paging cases\/SMAP holds for implicit accesses in spite of AC$/,
    right: { text: '#14/64 [1 20007 28 50002 c800 10] cr2=6000 sp=c7d0 cs=28 ss=10 fl=40002 ax=4' },
    ref: 'SDM 3A 4.6.1',
    why: 'AC opens user pages to explicit accesses only; both let descriptor reads through',
  },
  {
    programs: /^call gates\/call gate in long mode, inner RSP not canonical$/,
    right: { text: '#12/64 [0 2002a 33 10002 e7f0 23] sp=f3d0 cs=28 ss=0 ds=0 es=0 fl=2' },
    ref: 'SDM 2A CALL',
    why: 'the new SS is null and so is the error code; Bochs names part of the TSS, QEMU saves another RIP',
  },

  {
    programs: /^tasks\/new task: CS of ring 0 with RPL 3$/,
    right: {
      text: '#10/32 [8 20009 b 10002 c600 10] sp=c6e4 cs=8 ss=10 fl=2 ax=a cx=c dx=d bx=b bp=bb si=51 di=d1',
    },
    ref: 'SDM 3A table 7-1',
    why: 'the DPL of CS is checked before SS is (Bochs: after), and the new task’s CPL is 3 (QEMU: 0)',
  },

  ...[
    { mode: 'prot', frame: '2003d 8 10202', sp: 'c7f0', cs: '8', size: 32 },
    { mode: 'long', frame: '20042 28 10202 c800 10', sp: 'c7d8', cs: '28', size: 64 },
  ].map(({ mode, frame, sp, cs, size }) => ({
    programs: new RegExp(`^interrupts/between two iterations, ${mode}$`),
    right: { text: `#53/${size} [${frame}] sp=${sp} cs=${cs} ss=10 fl=2 cx=2 di=1a001` },
    ref: 'SDM 3B 17.3.1.1',
    why: 'RF is pushed as 1 between iterations (Bochs: 0), where interrupts are taken (QEMU: behind the last)',
  })),

  // QEMU right.
  {
    programs: /^far pointers\/push of CS and SS$/,
    right: 'qemu',
    ref: 'APM 3 PUSH',
    why: 'our CPU is an AMD: the selector is zero-extended; Intel’s processors write 16 bits only',
  },
  {
    programs: /^facts and order\/clwb/,
    right: 'qemu',
    ref: 'SDM 2A CLWB',
    why: 'Bochs’ CPU model does not have it',
  },
  {
    programs: /^gates\/(IST|RSP0) that is not canonical$/,
    right: 'qemu',
    ref: 'SDM 2A INT n',
    why: '#SS(EXT) with a null selector; Bochs names part of the TSS',
  },
  {
    programs: /^returns\/iretd in 64-bit code$/,
    right: 'qemu',
    ref: 'SDM 3A 6.14.3',
    why: 'IRET of every size pops SS:RSP in 64-bit code; Bochs does so for IRETQ only',
  },
  {
    programs: /^system calls\/sysretq to an address not canonical$/,
    right: 'qemu',
    ref: 'APM 3 SYSRET',
    why: 'our CPU is an AMD: the fault comes in ring 3; on Intel, as Bochs has it, in ring 0',
  },
  {
    programs: /^system calls\/sysenter/,
    right: 'qemu',
    ref: 'APM 3 SYSENTER',
    why: 'AMD has no SYSENTER in IA-32e mode',
  },

  // Bochs right: exceptions.
  {
    programs: /icebp/,
    right: 'bochs',
    ref: 'SDM 2A INT n',
    why: 'QEMU 7.2 takes INT1 for no instruction',
  },
  {
    programs: /^exceptions\/(#MF|#XM|#UD for #XM)/,
    right: 'bochs',
    ref: 'SDM 1 8.7, 11.5',
    why: 'QEMU raises no unmasked floating-point exception',
  },
  {
    programs: /^exceptions\/ldmxcsr/,
    right: 'bochs',
    ref: 'SDM 2A LDMXCSR',
    why: 'QEMU does not look at reserved bits',
  },
  {
    programs: /^exceptions\/#AC/,
    right: 'bochs',
    ref: 'SDM 3A 6.15 #AC',
    why: 'QEMU has no alignment check',
  },
  {
    programs: /^exceptions\/#DE of idiv/,
    right: 'bochs',
    ref: 'SDM 2A IDIV',
    why: 'QEMU ends with an arithmetic exception of its own',
  },
  {
    programs: /^exceptions\/int 1 in ring 3, long$/,
    right: 'bochs',
    ref: 'SDM 3A 6.13',
    why: 'QEMU: 16 times the vector in the error code',
  },
  {
    programs: /^double faults\/#BP by int3.*long$|^double faults\/int n.*long$/,
    right: 'bochs',
    ref: 'SDM 3A 6.13',
    why: 'QEMU: 16 times the vector in the error code of IDT entries in long mode',
  },
  {
    programs: /^double faults\/.*in turn/,
    right: 'bochs',
    ref: 'SDM 3A 6.13',
    why: 'QEMU never sets EXT, and takes 16 times the vector in long mode',
  },
  {
    programs: /^breakpoints\/GD/,
    right: 'bochs',
    ref: 'SDM 3B 18.2.4',
    why: 'QEMU checks GD nowhere',
  },
  {
    programs: /^breakpoints\/data breakpoint and a step at once/,
    right: 'bochs',
    ref: 'SDM 3A 6.9',
    why: 'one #DB for both; QEMU delivers two',
  },
  {
    programs: /^breakpoints\/mov ss holds/,
    right: 'bochs',
    ref: 'SDM 3A 6.8.3',
    why: 'QEMU reports after MOV SS itself',
  },

  // Gates.
  {
    programs: /^gates\/(exception|handler) .*beyond its segment|^gates\/handler beyond/,
    right: 'bochs',
    ref: 'SDM 2A INT n',
    why: 'QEMU does not compare the handler with the limit',
  },
  {
    programs: /^gates\/exception with .*EXT set/,
    right: 'bochs',
    ref: 'SDM 3A 6.13',
    why: 'QEMU never sets EXT',
  },
  {
    programs: /^gates\/inner SS absent$|^call gates\/call gate inner SS absent$/,
    right: 'bochs',
    ref: 'SDM 2A INT n',
    why: '#SS for an absent stack segment; QEMU gives #TS',
  },
  {
    programs:
      /^gates\/(inner stack|stack fault)|^call gates\/call gate (inner stack|target) beyond/,
    right: 'bochs',
    ref: 'SDM 3A 5.3',
    why: 'QEMU checks no limits',
  },
  {
    programs: /^gates\/IST/,
    right: 'bochs',
    ref: 'SDM 3A 6.14.4',
    why: 'SS becomes null when the ring changes only; QEMU clears it',
  },
  {
    programs: /^gates\/handler address not canonical|^call gates\/.*target not canonical/,
    right: 'bochs',
    ref: 'SDM 2A INT n, CALL',
    why: 'QEMU faults at the target',
  },
  {
    programs: /^gates\/.*long|^gates\/vector beyond the IDT/,
    right: 'bochs',
    ref: 'SDM 3A 6.13',
    why: 'QEMU: 16 times the vector in the error code of IDT entries in long mode',
  },
  {
    programs: /^call gates\/.*conforming code/,
    right: 'bochs',
    ref: 'SDM 2A CALL',
    why: 'the RPL of CS becomes the CPL; QEMU leaves the gate’s',
  },

  // Transfers and segments.
  {
    programs: /^transfers\/.*offset beyond the limit/,
    right: 'bochs',
    ref: 'SDM 2A CALL, IRET, 2B RET',
    why: '#GP(0); QEMU names the segment or does not check',
  },
  {
    programs: /L and D both set/,
    right: 'bochs',
    ref: 'SDM 3A 5.2.1',
    why: 'QEMU lets L and D together through',
  },
  {
    programs: /^returns\/far return to ring 3, SS absent$/,
    right: 'bochs',
    ref: 'SDM 2B RET',
    why: '#SS; QEMU gives #NP',
  },
  {
    programs: /^returns\/accessed bit of a jump target/,
    right: 'bochs',
    ref: 'SDM 3A 3.4.5.1',
    why: 'QEMU does not mark code that is jumped to',
  },
  {
    programs: /^returns\/.*(without room|beyond the limit|end of a segment)/,
    right: 'bochs',
    ref: 'SDM 3A 5.3',
    why: 'QEMU checks no limits',
  },
  {
    programs: /^returns\/iretq to compatibility code with a null SS/,
    right: 'bochs',
    ref: 'SDM 2A IRET',
    why: 'a null SS is for 64-bit code only',
  },
  {
    programs: /^returns\/.*not canonical/,
    right: 'bochs',
    ref: 'SDM 2A IRET, JMP, CALL, 2B RET',
    why: 'the transfer faults, with nothing changed; QEMU faults at the target',
  },
  {
    programs: /^segments\/ss in long mode: null with RPL/,
    right: 'bochs',
    ref: 'SDM 2B MOV',
    why: 'RPL must be the CPL',
  },
  {
    programs: /^limits\/|64 KiB$|^virtual-8086 mode\/#GP of a limit/,
    right: 'bochs',
    ref: 'SDM 3A 5.3',
    why: 'QEMU checks neither limits nor rights of an access',
  },

  // Paging.
  {
    programs: /^paging.*(reserved bit|XD without NXE|page-size bit in the PML4)/,
    right: 'bochs',
    ref: 'SDM 3A 4.7',
    why: 'RSVD comes with P set; QEMU clears it',
  },
  {
    programs: /^paging cases\/enter/,
    right: 'bochs',
    ref: 'SDM 2A ENTER',
    why: 'the end of the new frame is tried; QEMU does not',
  },

  {
    programs: /^paging\/1 GiB, long, supervisor/,
    right: 'bochs',
    ref: 'SDM 3A 4.8',
    why: 'QEMU marks the entry that denies as accessed',
  },

  // State, order, limits of code.
  {
    programs: /^code limits\//,
    right: 'bochs',
    ref: 'SDM 3A 5.3',
    why: 'QEMU does not compare EIP with the limit of CS',
  },
  {
    programs: /^state of the units\/xsavec|^facts and order\/rdpid/,
    right: 'bochs',
    ref: 'SDM 2D XSAVEC, 2B RDPID',
    why: 'QEMU 7.2 does not have it',
  },
  {
    programs: /^state of the units\/xrstor\d* of what is not there/,
    right: 'bochs',
    ref: 'SDM 1 8.5.1.1',
    why: 'storing an empty register stores the indefinite; QEMU stores what it held',
  },
  {
    programs: /^state of the units\/fxrstor\d* with reserved bits/,
    right: 'bochs',
    ref: 'SDM 2A FXRSTOR',
    why: 'QEMU does not look at reserved bits',
  },
  {
    programs: /^state of the units\/fnstenv masks/,
    right: 'bochs',
    ref: 'SDM 2A FSTENV',
    why: 'all exceptions are masked afterwards; QEMU leaves the control word',
  },
  {
    programs: /^facts and order\/clflush/,
    right: 'bochs',
    ref: 'SDM 2A CLFLUSH',
    why: 'it faults as a load of one byte does; QEMU does nothing at all',
  },
  {
    programs: /^facts and order\/wrgsbase not canonical/,
    right: 'bochs',
    ref: 'SDM 2B WRGSBASE',
    why: 'QEMU does not check',
  },

  {
    programs: /^interrupts\/an absent gate/,
    right: 'bochs',
    ref: 'SDM 3A 6.13',
    why: 'QEMU never sets EXT',
  },
  {
    programs: /^interrupts\/NMI/,
    right: 'bochs',
    ref: 'SDM 3A 6.7',
    why: 'QEMU delivers it at the end of what it has translated',
  },
  {
    programs: /^ring 0\/rdpmc/,
    right: 'bochs',
    ref: 'SDM 2B RDPMC',
    why: 'QEMU 7.2 does not have it',
  },

  // System instructions.
  {
    programs: /^control registers\/cr[0348]/,
    right: 'bochs',
    ref: 'SDM 2B MOV, SDM 3A 2.5',
    why: 'QEMU checks few of the bits',
  },
  {
    programs: /^control registers\/mov from cr1 in ring 3/,
    right: 'bochs',
    ref: 'SDM 2B MOV',
    why: '#UD goes before #GP',
  },
  {
    programs: /^control registers\/dr6: fixed bits/,
    right: 'bochs',
    ref: 'SDM 3B 18.2.3',
    why: 'bit 12 is 0; QEMU stores it',
  },
  {
    programs: /^MSRs\/invpcid/,
    right: 'bochs',
    ref: 'SDM 2A INVPCID',
    why: 'QEMU 7.2 does not have it',
  },
  { programs: /^MSRs\//, right: 'bochs', ref: 'SDM 2B WRMSR', why: 'QEMU refuses nothing' },
  {
    programs: /^descriptor tables\/l[gi]dt not canonical/,
    right: 'bochs',
    ref: 'SDM 2A LGDT',
    why: 'QEMU does not check',
  },
  {
    programs: /^descriptor tables\/ltr null/,
    right: 'bochs',
    ref: 'SDM 2A LTR',
    why: 'QEMU accepts it',
  },
  {
    programs: /^descriptor tables\/ltr of a 16-bit TSS, long/,
    right: 'bochs',
    ref: 'SDM 3A table 3-2',
    why: 'there is none in IA-32e mode',
  },
  {
    programs: /^descriptor tables\/lldt with an upper type, long/,
    right: 'bochs',
    ref: 'SDM 3A 8.2.3',
    why: 'the upper type must be 0',
  },
  {
    programs: /^selectors asked about\/system type/,
    right: 'bochs',
    ref: 'SDM 2A LAR, LSL (tables 3-52, 3-64)',
    why: 'types that IA-32e mode does not have',
  },
  {
    programs: /^system calls\/sysretq of all flags/,
    right: 'bochs',
    ref: 'SDM 2B SYSRET',
    why: 'R11 AND 3c7fd7; QEMU keeps VIF and VIP',
  },
  {
    programs: /^virtual-8086 mode\/VM is ignored by iret in ring 3/,
    right: 'bochs',
    ref: 'SDM 2A IRET',
    why: 'VM is loaded in ring 0 only',
  },
  {
    programs: /^tasks\/gate to the LDT/,
    right: 'bochs',
    ref: 'SDM 2A JMP',
    why: '#GP for a task gate’s selector; QEMU gives #TS',
  },
  {
    programs: /^tasks\/new task/,
    right: 'bochs',
    ref: 'SDM 3A 8.3',
    why: 'the fault comes before the first instruction of the new task, at its EIP; QEMU saves the old one, and knows no T flag',
  },
];

export function differenceOf(name: string): Difference | null {
  return DIFFERENCES.find(({ programs }) => programs.test(name)) ?? null;
}
