// Pulls a kernel and says on the terminal what is going on.

import { cached, type PulledKernel, type PullProgress, pull } from '../host/node/index.ts';
import { ProgressLine } from './progress-line.ts';

/** What is cached, or else what the archive has. */
export async function cachedOrPulled(name: string, mirror?: string): Promise<PulledKernel> {
  const ready = await cached(name);
  if (ready) return ready;
  process.stderr.write(`pvops: ${name} is not in the cache: pulling it from Debian's archive\n`);
  return pullWithProgress(name, mirror);
}

export async function pullWithProgress(name: string, mirror?: string): Promise<PulledKernel> {
  const line = new ProgressLine(process.stderr);
  const onProgress = ({ step, what, part }: PullProgress) => {
    if (step === 'warning') {
      line.clear();
      process.stderr.write(`pvops: ${what}\n`);
      return;
    }
    const percent = part === undefined ? '' : ` ${Math.floor(part * 100)}%`;
    line.say(`${step === 'lists' ? 'reading the lists of' : step} ${what}${percent}`);
  };
  try {
    return await pull(name, { onProgress, ...(mirror === undefined ? {} : { mirror }) });
  } finally {
    line.clear();
  }
}
