SpillwayCommand.start()
