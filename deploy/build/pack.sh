#!/bin/sh
# Puts what a host needs to run a node into FOLDER: bundles, launchers, Node. About 170 MB, nearly all of it Node.
# Usage: deploy/build/pack.sh FOLDER    (after npm run setup; FOLDER must not exist)
set -eu
root=$(dirname "$(readlink -f "$0")")/../..
target=${1:?usage: pack.sh FOLDER}
if [ -e "$target" ]; then
  echo "pack.sh: $target is there already: remove it, or name another folder." >&2
  exit 1
fi
mkdir -p "$target/.toolchain/node_modules/.bin" "$target/deploy/setup" "$target/packages/cli"
node=$root/.toolchain/node_modules/.bin/node
if [ ! -x "$node" ]; then
  # The machine brings a good Node of its own.
  node=$(command -v node)
fi
cp -L "$node" "$target/.toolchain/node_modules/.bin/node"
cp "$root/deploy/setup/launch" "$target/deploy/setup/"
cp -R "$root/deploy/systemd" "$target/deploy/"
for program in packages/cli $(cd "$root" && echo services/*); do
  mkdir -p "$target/$program/dist"
  cp "$root/$program/package.json" "$target/$program/"
  cp "$root/$program/dist/main.js" "$target/$program/dist/"
done
cp -R "$root/packages/cli/bin" "$target/packages/cli/"
