# NoCloud comes first; what the user asked for stays behind it.
case ", ${DIB_CLOUD_INIT_DATASOURCES:-}, " in
    *", NoCloud, "* | *,NoCloud,*) ;;
    ", , ") DIB_CLOUD_INIT_DATASOURCES=NoCloud ;;
    *) DIB_CLOUD_INIT_DATASOURCES="NoCloud, $DIB_CLOUD_INIT_DATASOURCES" ;;
esac
export DIB_CLOUD_INIT_DATASOURCES
