// Builds the command line into one file, dist/pvops.mjs, with every dependency inside, so that it starts fast.

import { defineConfig, type Plugin } from 'vite';
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

export default defineConfig({
  plugins: [prepared],
  ssr: { noExternal: true, target: 'node' },
  build: {
    ssr: 'src/cli/main.ts',
    outDir: 'dist',
    target: 'node20',
    minify: false,
    rolldownOptions: {
      checks: { pluginTimings: false }, // Preparing code takes its second.
      output: {
        format: 'es',
        entryFileNames: 'pvops.mjs',
        chunkFileNames: 'pvops-[name].mjs',
        codeSplitting: false,
        // White space and comments go, which start-up would read; names stay, for the stacks of bug reports.
        minify: {
          mangle: false,
          compress: false,
          codegen: { removeWhitespace: true, legalComments: 'none' },
        },
        banner: '#!/usr/bin/env node',
      },
    },
  },
});
