# bash completion of sluice, made by npm run docs
_sluice() {
  local word=${COMP_WORDS[COMP_CWORD]} command='' words='' i
  case ${COMP_WORDS[COMP_CWORD - 1]} in
    -c | --config | -o | --output | -f | --file) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    -d | --data) mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
    --for | --limit | --types | -n | --count | --id | --deadline | --if-offline | --class | --through) return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$command ${COMP_WORDS[i]}" in
      ' run' | ' check' | ' demo' | ' status' | ' devices' | ' tail' | ' send' | ' outbox' | 'outbox show' | 'outbox retry' | 'outbox skip' | 'outbox forget' | 'outbox export' | ' audit' | ' passwd' | ' health' | ' version') command="${command:+$command }${COMP_WORDS[i]}" ;;
    esac
  done
  case $command in
    '') words='run check demo status devices tail send outbox audit passwd health version --version --help' ;;
    'run') words='--config --data --help' ;;
    'check') words='--config --data --json --help' ;;
    'demo') words='--config --data --for --json --help' ;;
    'status') words='--config --data --json --help' ;;
    'devices') words='--config --data --limit --json --help' ;;
    'tail') words='--config --data --types --count --json --help' ;;
    'send') words='--config --data --id --deadline --if-offline --no-wait --json --help' ;;
    'outbox') words='show retry skip forget export --config --data --json --help' ;;
    'outbox show') words='--config --data --help' ;;
    'outbox retry') words='--config --data --help' ;;
    'outbox skip') words='--config --data --class --through --help' ;;
    'outbox forget') words='--config --data --help' ;;
    'outbox export') words='--config --data --class --output --help' ;;
    'audit') words='--config --data --json --help' ;;
    'passwd') words='--config --data --file --help' ;;
    'health') words='--config --data --json --help' ;;
    'version') words='--config --data --json --licenses --help' ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _sluice sluice
