// SYSCALL and SYSRET in WebAssembly, as 64-bit kernels use them: slow/system-calls.ts says what they mean.

import {
  EFER_LMA,
  EFER_SCE,
  EFLAGS_AC,
  EFLAGS_RF,
  EFLAGS_STATUS,
  EFLAGS_TF,
} from '../control-bits.ts';
import { CS, DPL3, FLAT_CODE64, FLAT_DATA, SS_REG } from '../descriptors.ts';
import { POLICY_SYSCALL } from '../policy.ts';
import { ALL_FLAGS, SYSRET_FLAGS } from '../slow/system-calls.ts';
import { FIELDS, GPR_AT } from '../state.ts';
import type { QuickSite } from './quick-site.ts';
import { R_OSIZE } from './records.ts';

const RCX = 1;
const R11 = 11;

/** From 64-bit code, with no step in sight. APM 3 SYSCALL, SDM 2B SYSCALL. */
export function syscall(q: QuickSite): void {
  const { c, t } = q;
  onlyFrom64(q);
  q.load('eflags').i32(EFLAGS_TF).op('i32.and').brIf(q.decline);
  q.load('eflags')
    .i32(~(EFLAGS_STATUS | EFLAGS_RF))
    .op('i32.and');
  c.get(q.st).call(q.helpers.flags).op('i32.or').set(t);
  q.setGpr(R11, () => c.get(t).op('i64.extend_i32_u'));
  q.setGpr(RCX, () => q.load('rip'));
  q.store('rip', () => q.load('lstar'));
  c.get(t);
  c.get(q.st).mem('i32.load', FIELDS.sfmask.at).i32(ALL_FLAGS).op('i32.and');
  c.i32(-1).op('i32.xor').op('i32.and').set(t);
  q.setFlags();
  c.get(q.st).mem('i32.load16_u', FIELDS.star.at + 4);
  c.i32(0xfffc).op('i32.and').set(t);
  q.setFlat(CS, 0, FLAT_CODE64);
  q.setFlat(SS_REG, 8, FLAT_DATA);
  q.store('cpl', () => c.i32(0));
  q.useSupervisorTlb();
  q.store('fetchTlb', () => c.i32(q.places.fetchTlbs));
}

/** To 64-bit code, where neither a step nor an alignment check waits. APM 3 SYSRET, SDM 2B SYSRET. */
export function sysret(q: QuickSite): void {
  const { c, t } = q;
  onlyFrom64(q);
  q.load('rec').mem('i32.load8_u', R_OSIZE).i32(64).op('i32.ne').brIf(q.decline);
  q.gpr32(R11)
    .i32(EFLAGS_TF | EFLAGS_AC)
    .op('i32.and')
    .brIf(q.decline);
  q.load('eflags').i32(~ALL_FLAGS).op('i32.and');
  q.gpr32(R11)
    .i32(SYSRET_FLAGS & ALL_FLAGS)
    .op('i32.and')
    .op('i32.or')
    .set(t);
  q.setFlags();
  q.store('rip', () => c.get(q.st).mem('i64.load', GPR_AT + RCX * 8));
  c.get(q.st)
    .mem('i32.load16_u', FIELDS.star.at + 6)
    .set(t);
  q.setFlat(CS, 16, FLAT_CODE64 | DPL3, 3);
  q.setFlat(SS_REG, 8, FLAT_DATA | DPL3, 3);
  q.store('cpl', () => c.i32(3));
  q.useUserTlbs();
  q.checkInterrupts();
}

/** SYSCALL and SYSRET as 64-bit kernels use them: code mode and mode key stay as they are. */
function onlyFrom64(q: QuickSite): void {
  const { c } = q;
  q.load('codeMode').i32(64).op('i32.ne').brIf(q.decline);
  const needed = EFER_SCE | EFER_LMA;
  q.load('efer').i32(needed).op('i32.and').i32(needed).op('i32.ne').brIf(q.decline);
  q.unlessExits(POLICY_SYSCALL);
  q.load('pendingDebug');
  c.brIf(q.decline);
}
