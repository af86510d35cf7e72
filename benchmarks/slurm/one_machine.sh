#!/usr/bin/env bash
# A SLURM of one machine, controller and node, to try srun. As root, with Debian's packages:
#
#   apt-get install --no-install-recommends slurm-wlm munge
#   bash benchmarks/slurm/one_machine.sh start /tmp/slurm
#   SLURM_CONF=/tmp/slurm/slurm.conf srun --ntasks=2 python main.py --config=configs/row_lstm.py
#   bash benchmarks/slurm/one_machine.sh stop /tmp/slurm
set -euo pipefail
action=$1 folder=$2
export SLURM_CONF=$folder/slurm.conf

case $action in
  start)
    mkdir -p "$folder/state" "$folder/spool"
    node=$(hostname --short)
    cat >"$SLURM_CONF" <<END
ClusterName=one
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$node Default=YES State=UP
END
    # Who talks to whom is proved by munge, which refuses to run as root.
    install -d -o munge -g munge /run/munge
    munge -n >/dev/null 2>&1 || su -s /bin/sh munge -c munged
    slurmctld
    slurmd -N "$node"
    sleep 2
    sinfo
    ;;
  stop)
    kill "$(cat "$folder/slurmd.pid")" "$(cat "$folder/slurmctld.pid")"
    ;;
  *)
    echo "usage: one_machine.sh start|stop FOLDER" >&2
    exit 2
    ;;
esac
