// cpu.usergs_sysret64 and 32 must go to ring 3, where their registers say; what is no address must fault.

import { defineProbe } from '../define.ts';

const [GP, CALL] = [13, 0x80];
const [MSR_EFER, MSR_STAR, EFER_SCE] = [0xc0000080, 0xc0000081, 1];
/** Selectors of SYSCALL and of SYSRET begin at the kernel's code (SDM 3A 5.8.8). */
const SELECTORS = 0x600060;
const CF = 1;
const NOT_CANONICAL = '0x800000000000';

export const cpuSysret = defineProbe<{
  wide: number;
  wide_ring: number;
  wide_flags: number;
  narrow: number;
  narrow_ring: number;
  narrow_flags: number;
  refused: number;
}>({
  id: 'cpu-sysret',
  title: 'cpu.usergs_sysret goes to ring 3 with the flags of R11, and not to what is no address',
  ref: 'SDM 2B SYSRET; arch/x86/xen/xen-asm_64.S xen_sysret64 (2.6.32)',
  about: ['cpu.usergs_sysret64', 'cpu.usergs_sysret32'],
  runsOn: ({ bits }) => (bits === 64 ? null : 'for 64 bits only'),
  guest(a) {
    // Refused where SYSRET is not the guest's own: then it needs none of this.
    a.op('irq.irq_disable').text(`mov ecx, ${MSR_STAR}; xor eax, eax; mov edx, ${SELECTORS}`);
    a.op('cpu.write_msr').text(`mov ecx, ${MSR_EFER}`).op('cpu.read_msr');
    a.text(`or eax, ${EFER_SCE}; mov ecx, ${MSR_EFER}`).op('cpu.write_msr');
    a.text('mov rax, page.e; add rax, 4096').op('cpu.load_sp0');
    const go = (id: 'cpu.usergs_sysret64' | 'cpu.usergs_sysret32', to: string, name: string) => {
      const [user, back] = [a.fresh('user'), a.fresh('user')];
      a.text(`mov qword ptr [kernel.escape], ${back}; mov [kernel.recover_sp], rsp`);
      a.text(`mov rsp, page.d; add rsp, 4096; mov r11, ${CF | 2}; mov rcx, ${to || user}`);
      a.text(`jmp qword ptr [ops.${id}]; ${user}:; int ${CALL}; ${back}:; mov eax, [trap.vector]`);
      a.report(name, 'eax').op('cpu.swapgs');
      a.text('mov eax, [trap.cs]; and eax, 3').report(`${name}_ring`, 'eax');
      a.text('mov eax, [trap.flags]').report(`${name}_flags`, 'eax');
    };
    go('cpu.usergs_sysret64', '', 'wide');
    go('cpu.usergs_sysret32', '', 'narrow');
    go('cpu.usergs_sysret64', NOT_CANONICAL, 'refused');
  },
  check({ wide, wide_ring, wide_flags, narrow, narrow_ring, narrow_flags, refused }, t) {
    t.fault(wide, CALL, 'int 0x80 in 64-bit code of ring 3');
    t.equal(wide_ring, 3, 'the ring that it came from');
    t.equal(wide_flags & CF, CF, 'CF there');
    t.fault(narrow, CALL, 'int 0x80 in 32-bit code of ring 3');
    t.equal(narrow_ring, 3, 'the ring that it came from');
    t.equal(narrow_flags & CF, CF, 'CF there');
    t.fault(refused, GP, 'SYSRET to an address that is not canonical');
  },
});
