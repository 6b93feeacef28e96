#!/usr/bin/env node
'use strict'
// The published command. Old syntax, so that an old Node.js prints the way out instead of a syntax error.
var parts = process.versions.node.split('.').map(Number)
var right =
  (parts[0] === 24 && parts[1] >= 16) || (parts[0] === 26 && parts[1] >= 1) || parts[0] > 26
if (!right) {
  process.stderr.write(
    'tollgate needs Node.js 24.16 or newer; this is ' +
      process.versions.node +
      '.\n' +
      'Install it from https://nodejs.org, or run: npx -y node@24 "$(command -v tollgate)"\n',
  )
  process.exit(1)
}
void import('../dist/main.js')
