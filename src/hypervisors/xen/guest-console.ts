// The guest's side of Xen's console ring, for the probe kernel of either kind of guest.

import type { GuestCode } from '../../ops/index.ts';
import { EVTCHNOP_send } from './abi/event-channel.ts';
import { SCHEDOP_yield } from './abi/sched.ts';

/** The console's ring (io/xencons.h). */
const RING = { out: 1024, outBytes: 2048, outCons: 3080, outProd: 3084 } as const;

/** A call by its name in the headers; loses AX and what its arguments are in. */
type Call = (code: GuestCode, name: string, ...args: readonly (string | number)[]) => void;

/**
 * AL goes into the ring. A line is told of as a whole; a full ring is waited for. Labels of the binding: `op`, 64 bytes of which this
 * takes the first and the 33rd; `console`, where the ring is; `console_port`. Loses SI beside what calls lose.
 */
export function putByteInRing(code: GuestCode, own: string, call: Call): void {
  const [again, room, done] = [code.fresh('ring'), code.fresh('ring'), code.fresh('ring')];
  const notify = () => {
    code.text(`mov ecx, [${own}.console_port]; mov [${own}.op], ecx`);
    call(code, 'event_channel_op', EVTCHNOP_send, `${own}.op`);
  };
  code.text(`mov [${own}.op+32], al; ${again}:; mov esi, [${own}.console]`);
  code.text(`mov edx, [{si}+${RING.outProd}]; mov ecx, edx; sub ecx, [{si}+${RING.outCons}]`);
  code.text(`cmp ecx, ${RING.outBytes}; jb ${room}`);
  notify();
  call(code, 'sched_op', SCHEDOP_yield, 0);
  code.text(`jmp ${again}; ${room}:; and edx, ${RING.outBytes - 1}; mov al, [${own}.op+32]`);
  code.text(`mov [{si}+{dx}+${RING.out}], al; inc dword ptr [{si}+${RING.outProd}]`);
  code.text(`cmp al, 10; jne ${done}`);
  notify();
  code.text(`${done}:`);
}
