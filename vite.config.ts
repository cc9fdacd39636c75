// Builds the command line into one file, dist/pvops.mjs, with every dependency inside, so that it starts fast.

import { defineConfig } from 'vite';

export default defineConfig({
  ssr: { noExternal: true, target: 'node' },
  build: {
    ssr: 'src/cli/main.ts',
    outDir: 'dist',
    target: 'node20',
    // Unminified: a stack in a bug report names our functions.
    minify: false,
    rolldownOptions: {
      output: {
        format: 'es',
        entryFileNames: 'pvops.mjs',
        chunkFileNames: 'pvops-[name].mjs',
        codeSplitting: false,
        banner: '#!/usr/bin/env node',
      },
    },
  },
});
