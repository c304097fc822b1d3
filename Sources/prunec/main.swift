print("prunec")
