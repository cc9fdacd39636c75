// The Xen programs on our own Xen: the same file, begun again behind each program that ends the domain.

import { findInterface } from '../../src/hypervisors/index.ts';
import { openKernel } from '../../src/image/index.ts';
import type { LabConsole } from '../../src/lab/host.ts';
import { runKernel } from '../../src/lab/run.ts';
import { stillHost, tinySpec } from '../../src/lab/testing/tiny-kernel.ts';
import { ENDED, readAnswers } from './answers.ts';
import type { Suite } from './suites.ts';

const MEMORY = 64 << 20;

/** An answer a program. */
export async function ourAnswers(suite: Suite): Promise<string[]> {
  const file = suite.kernel();
  const count = suite.programs.length;
  const answers: string[] = [];
  while (answers.length < count) {
    let text = '';
    const console: LabConsole = {
      write: async (bytes) => {
        text += Buffer.from(bytes).toString('latin1');
      },
      read: () => new Uint8Array(0),
      quit: () => false,
    };
    await runKernel(stillHost, console, {
      ...tinySpec([]),
      on: findInterface(suite.on),
      kernel: openKernel(file, 'the Xen programs'),
      memoryBytes: MEMORY,
      append: `first=${answers.length}`,
      timeoutSeconds: 0.05,
    });
    const { lines, finished } = readAnswers(text);
    for (const [index, line] of lines) answers[index] = line;
    if (!finished) answers.push(ENDED);
  }
  return answers;
}
