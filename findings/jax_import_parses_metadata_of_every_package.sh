#!/usr/bin/env bash
# jax 0.9.2, import jax: it parses the METADATA file of every installed package, on any machine.
#
# jax looks for a plug-in of ROCm by the name of each distribution, and asks each for its whole metadata to learn it.
# So `import jax` takes longer the more is installed, whatever of it is used: a program that starts often (a prediction, a
# worker of a sweep) pays for the notebook packages beside it.
# Seen: 8 packages: 8 parsed. With 40 others beside them, each with a description of 20 kB: 48 parsed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.9.2 jaxlib==0.9.2 numpy==2.3.5 scipy==1.16.3 ml_dtypes==0.5.4 opt_einsum==3.4.0
cat > "$folder/count.py" <<'PYTHON'
import importlib.metadata as metadata

parsed = []
whole = metadata.Distribution.metadata
metadata.Distribution.metadata = property(lambda self: parsed.append(self) or whole.fget(self))
import jax

print(len({id(one) for one in parsed}), len(list(metadata.distributions())))
PYTHON
count() { JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/count.py"; }
read -r parsed installed <<< "$(count)"
echo "$installed packages: $parsed parsed"
site=$("$folder/venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')
for number in $(seq 40); do
    mkdir "$site/other$number-1.0.dist-info"
    { printf 'Metadata-Version: 2.1\nName: other%s\nVersion: 1.0\n\n' "$number"; head -c 20000 /dev/zero | tr '\0' 'x'; } \
        > "$site/other$number-1.0.dist-info/METADATA"
done
read -r more more_installed <<< "$(count)"
echo "$more_installed packages: $more parsed"
[ "$more_installed" -eq $((installed + 40)) ]
[ "$more" -ge $((parsed + 40)) ] || { echo "changed: import jax no longer parses all metadata"; exit 1; }
