// Builds the command line into one file, dist/pvops.mjs, with every dependency inside, so that it starts fast.

import { defineConfig } from 'vite';

export default defineConfig({
  ssr: { noExternal: true, target: 'node' },
  build: {
    ssr: 'src/cli/main.ts',
    outDir: 'dist',
    target: 'node20',
    minify: false,
    rolldownOptions: {
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
