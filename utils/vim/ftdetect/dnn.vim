autocmd BufRead,BufNewFile *.dnn setfiletype dnn
