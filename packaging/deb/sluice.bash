# bash completion of sluice
_sluice() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  local commands='run check demo status devices tail send outbox audit passwd health version'
  case $before in
    -c | --config | -f | --file) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    -d | --data) mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$word")
    return
  fi
  local options='--config --data --help'
  case ${COMP_WORDS[1]} in
    check | run) ;;
    demo) options="$options --for --json" ;;
    passwd) options="$options --file" ;;
    version) options="$options --json --licenses" ;;
    *) options="$options --json" ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}
complete -F _sluice sluice
