// How a guest of lguest starts: what the launcher puts into its memory, the state of its first instruction, and its end.

import { expect, test } from 'vitest';
import { guest, MEMORY, runLguest } from './testing/lguest-guest.ts';

const { init, print, off } = guest;

test.each([false, true])(
  'a guest in ring 1 prints a line by NOTIFY and switches itself off, PAE %s',
  (pae) => {
    const run = runLguest(`${init}; ${print('hello')}; ${off}; hello: "hello, lguest\\n"`, { pae });
    expect(run.why).toBe('LHCALL_SHUTDOWN: Power down');
    expect(run.output).toBe('hello, lguest\n');
    expect(run.stop).toBe('off');
    expect(run.cpu.state.get('cpl')).toBe(1);
  },
);

test('RAM ends where the device page begins', () => {
  const { results } = runLguest(
    `mov eax, [${0x2d0 + 8}]; ${guest.keep('eax')}; movzx eax, byte ptr [0x1e8]; ${guest.keep('eax')}`,
    { budget: 20 },
  );
  expect(results).toEqual([MEMORY, 1]);
});
