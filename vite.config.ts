// Builds the command line: the program with every dependency inside, and dist/pvops.mjs, which starts it fast.

import { build, defineConfig, type Plugin } from 'vite';
import { prepareCode } from './src/cpu/interp/prepare.ts';

export const PREPARED_FILE = '/src/cpu/interp/prepared-code.ts';

/** Puts the WebAssembly that every run needs into the bundle, as text, so that a page has it too: see prepared-code.ts. */
export const prepared = {
  name: 'prepared-code',
  load(id: string) {
    if (!id.endsWith(PREPARED_FILE)) return null;
    const code = prepareCode((bytes) => Buffer.from(bytes).toString('base64'));
    return `export const preparedCode = ${JSON.stringify(code)};`;
  },
} satisfies Plugin;

/** Writes src/cli/entry.ts, and makes of the program what it expects: a function, and ASCII, of which V8 needs no second copy. */
const entry = {
  name: 'entry',
  async generateBundle(_, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== 'chunk') continue;
      const ascii = chunk.code.replace(/[^\0-\x7f]/g, escaped);
      chunk.code = `(function(exports,require,__filename){"use strict";${ascii}\n})`;
    }
    const made = await build({
      configFile: false,
      logLevel: 'warn',
      build: {
        ssr: 'src/cli/entry.ts',
        write: false,
        target: 'node20',
        rolldownOptions: { output: { banner: '#!/usr/bin/env node' } },
      },
    });
    if (!('output' in made)) return;
    this.emitFile({ type: 'asset', fileName: 'pvops.mjs', source: made.output[0].code });
  },
} satisfies Plugin;

const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

export default defineConfig({
  plugins: [prepared, entry],
  ssr: { noExternal: true, target: 'node' },
  build: {
    ssr: 'src/cli/main.ts',
    outDir: 'dist',
    target: 'node20',
    minify: false,
    rolldownOptions: {
      checks: { pluginTimings: false }, // Preparing code takes its second.
      output: {
        format: 'cjs',
        entryFileNames: 'pvops-program.cjs',
        codeSplitting: false,
        // White space and comments go, which start-up would read; names stay, for the stacks of bug reports.
        minify: {
          mangle: false,
          compress: false,
          codegen: { removeWhitespace: true, legalComments: 'none' },
        },
      },
    },
  },
});
